#pragma once

#include "host/base/status.h"
#include "host/config/connection_settings.h"

namespace catchup {

// Whether the files that the options of a connection string name can be read and hold what they
// should: certificates, or a private key without a passphrase that only its owner and group may
// read. The text of a failure names the option and the file, and what to do. Looks at the form
// alone: who signed what, and until when it is valid, a connection finds. Without effect where
// `settings` have no TLS.
Status CheckTlsFiles(const ConnectionSettings& settings);

}  // namespace catchup
