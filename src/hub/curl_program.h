#pragma once

#include "hub/curl.h"

namespace agave::hub {

/// Whether there is a program named curl on the PATH.
bool has_curl_program();

/// The functions of Curl by way of that program, for systems without a libcurl that can be loaded and for
/// static programs, which load nothing: one process for each transfer. Address and token go to its standard
/// input.
Curl curl_program();

}  // namespace agave::hub
