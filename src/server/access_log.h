#pragma once

#include <string>

#include "server/http_server.h"

namespace agave::server {

/// One line about a request, without its line end: as logfmt (key=value), or as one JSON object. Holds the
/// time, the id, who asked, what for and what became of it; never a query, header or body.
std::string log_line(const HttpOutcome& outcome, bool json);

}  // namespace agave::server
