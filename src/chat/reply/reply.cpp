#include "chat/reply/reply.h"

namespace agave::chat {

void Reply::add(const ReplyEvent& event) {
    switch (event.kind) {
        case ReplyEvent::content:
            content += event.text;
            return;
        case ReplyEvent::reasoning:
            reasoning += event.text;
            return;
        case ReplyEvent::call_begin:
            tool_calls.resize(event.call + size_t{1});
            tool_calls.back() = {event.id, event.text, "", false};
            return;
        case ReplyEvent::call_arguments:
            tool_calls[event.call].arguments_json += event.text;
            return;
        case ReplyEvent::call_end:
            tool_calls[event.call].complete = true;
            return;
    }
}

}  // namespace agave::chat
