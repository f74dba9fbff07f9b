# Installs the SDK into a fresh prefix and builds one example against it as an outside project does:
# from a copy of its folder, which sees nothing of this tree. Then looks at what it exports.
#
# cmake -DGENERATOR=… -DBUILD=… -DEXAMPLE=… -DNAME=… -DWORK=… -DNM=… -P outside_project.cmake

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\n${output}\nfound exit code ${code}, wanted 0")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix --component sdk)
file(COPY ${EXAMPLE}/ DESTINATION ${WORK}/source)
run(${CMAKE_COMMAND} -S ${WORK}/source -B ${WORK}/build -G ${GENERATOR}
    -DCMAKE_PREFIX_PATH=${WORK}/prefix)
run(${CMAKE_COMMAND} --build ${WORK}/build)

execute_process(COMMAND ${NM} -D --defined-only ${WORK}/build/${NAME}.so
                OUTPUT_VARIABLE symbols RESULT_VARIABLE code)
string(STRIP "${symbols}" symbols)
if(NOT code EQUAL 0 OR NOT symbols MATCHES "^[0-9a-f]+ T catchup_plugin_entry$")
  message(FATAL_ERROR "${NAME}.so: found the dynamic symbols\n${symbols}\n"
                      "wanted catchup_plugin_entry alone")
endif()
