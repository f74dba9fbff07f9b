# catchup_add_plugin(<name> <source>...): a plugin <name>.so that exports its entry point and nothing
# else. Sources are C11, C++20 or both.
#
# The version script does the hiding; -fvisibility=hidden alone leaves libstdc++ templates exported.
# no-gnu-unique and exclude-libs keep copies of shared libraries inside this plugin its own. -z defs
# finds a missing library when linking, not at the first call; -z now and relro are what the host
# loads it with anyway. The build id ties a crash report to its debug information.
function(catchup_add_plugin name)
  set(map ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map)  # beside this file, wherever it is called from
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE catchup::sdk)
  set_target_properties(${name} PROPERTIES
    PREFIX ""
    SUFFIX ".so"
    C_STANDARD 11
    C_STANDARD_REQUIRED ON
    CXX_STANDARD 20
    CXX_STANDARD_REQUIRED ON
    C_VISIBILITY_PRESET hidden
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    SKIP_BUILD_RPATH ON)
  target_compile_options(${name} PRIVATE
    $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-fno-gnu-unique>)
  target_link_options(${name} PRIVATE
    -Wl,--version-script=${map} -Wl,--exclude-libs,ALL
    -Wl,-z,defs -Wl,-z,now -Wl,-z,relro -Wl,--build-id)
  set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${map})
endfunction()
