#include "hub/curl.h"

#include <dlfcn.h>

#include "base/error.h"
#include "hub/curl_program.h"

namespace agave::hub {

namespace {

#ifdef __APPLE__
constexpr const char* names[] = {"libcurl.4.dylib", "/usr/lib/libcurl.4.dylib"};
#else
constexpr const char* names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
#endif

template <typename F>
void find(void* library, const char* name, F& function) {
    function = reinterpret_cast<F>(::dlsym(library, name));
    if (!function) fail(ErrorKind::unsupported, "the libcurl of this system is too old: it has no %s", name);
}

const char* kind = "libcurl";

Curl load() {
    void* library = nullptr;
    for (const char* name : names)
        if (!library) library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library && !has_curl_program())
        fail(
            ErrorKind::unsupported,
            "downloading needs libcurl or the program curl, and neither is installed (Debian and Ubuntu: apt "
            "install libcurl4)");
    if (!library) {
        kind = "the program curl";
        return curl_program();
    }
    Curl curl{};
    find(library, "curl_easy_init", curl.easy_init);
    find(library, "curl_easy_setopt", curl.easy_setopt);
    find(library, "curl_easy_perform", curl.easy_perform);
    find(library, "curl_easy_getinfo", curl.easy_getinfo);
    find(library, "curl_easy_cleanup", curl.easy_cleanup);
    find(library, "curl_easy_strerror", curl.easy_strerror);
    find(library, "curl_slist_append", curl.slist_append);
    find(library, "curl_slist_free_all", curl.slist_free_all);
    find(library, "curl_multi_init", curl.multi_init);
    find(library, "curl_multi_add_handle", curl.multi_add_handle);
    find(library, "curl_multi_remove_handle", curl.multi_remove_handle);
    find(library, "curl_multi_perform", curl.multi_perform);
    find(library, "curl_multi_poll", curl.multi_poll);
    find(library, "curl_multi_info_read", curl.multi_info_read);
    find(library, "curl_multi_cleanup", curl.multi_cleanup);
    int (*global_init)(long) = nullptr;
    find(library, "curl_global_init", global_init);
    constexpr long kEverything = 3;
    if (global_init(kEverything) != 0) fail(ErrorKind::runtime, "libcurl could not be started");
    return curl;
}

}  // namespace

const Curl& curl() {
    static const Curl loaded = load();
    return loaded;
}

const char* curl_kind() {
    curl();
    return kind;
}

}  // namespace agave::hub
