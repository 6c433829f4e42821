#pragma once

#include <string>

namespace agave::hub {

/// The functions of libcurl that agave calls, found at run time so that the program neither contains nor
/// needs it. Names and numbers: libcurl's public ABI, curl/curl.h and curl/multi.h of 7.62 and later.
struct Curl {
    using Handle = void;
    using Multi = void;
    using List = void;
    struct Message {
        int kind;  ///< 1: a transfer is done
        Handle* handle;
        union {
            void* anything;
            int result;
        } data;
    };

    Handle* (*easy_init)();
    int (*easy_setopt)(Handle*, int option, ...);
    int (*easy_perform)(Handle*);
    int (*easy_getinfo)(Handle*, int info, ...);
    void (*easy_cleanup)(Handle*);
    const char* (*easy_strerror)(int code);
    List* (*slist_append)(List*, const char*);
    void (*slist_free_all)(List*);
    Multi* (*multi_init)();
    int (*multi_add_handle)(Multi*, Handle*);
    int (*multi_remove_handle)(Multi*, Handle*);
    int (*multi_perform)(Multi*, int* n_running);
    int (*multi_poll)(Multi*, void* extra, unsigned n_extra, int timeout_ms, int* n_ready);
    Message* (*multi_info_read)(Multi*, int* n_left);
    int (*multi_cleanup)(Multi*);
};

/// Options of easy_setopt: 10000 is added for pointers, 20000 for functions.
enum CurlOption : int {
    kCurlLowSpeedLimit = 19,
    kCurlLowSpeedTime = 20,
    kCurlNoBody = 44,
    kCurlConnectTimeout = 78,
    kCurlNoSignal = 99,
    kCurlWriteData = 10001,
    kCurlUrl = 10002,
    kCurlRange = 10007,
    kCurlErrorBuffer = 10010,  ///< of 256 bytes
    kCurlUserAgent = 10018,
    kCurlHttpHeader = 10023,
    kCurlHeaderData = 10029,
    kCurlPrivate = 10103,
    kCurlWriteFunction = 20011,
    kCurlHeaderFunction = 20079,
    kCurlProtocols = 181,  ///< bits: 1 HTTP, 2 HTTPS
};
enum CurlInfo : int {
    kCurlResponseCode = 0x200002,
    kCurlPrivateInfo = 0x100015,
    kCurlRedirectUrl = 0x10001f,
};

/// The library, loaded at the first call, or where there is none the program curl. Throws Error(unsupported)
/// that says what to install where there is neither.
const Curl& curl();

/// What curl() is: "libcurl" or "the program curl". Throws as it does.
const char* curl_kind();

}  // namespace agave::hub
