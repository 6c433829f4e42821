#pragma once

#include "server/http_server.h"

namespace agave::server {

/// Answers GET / with the chat page; false for every other path.
bool answer_web_chat(const HttpRequest& request, HttpResponse& response);

}  // namespace agave::server
