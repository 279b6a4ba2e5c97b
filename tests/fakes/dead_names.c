/* Name servers that do not answer, for a process that was started with this in LD_PRELOAD.
 *
 * Each question that needs a name server is written to $DEAD_NAMES_LOG, takes five seconds, and
 * is not answered. Addresses need none.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void ask(const char *name)
{
    const char *path = getenv("DEAD_NAMES_LOG");
    int log = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (log >= 0) {
        dprintf(log, "%s\n", name);
        close(log);
    }
    sleep(5);
}

static int is_address(const char *name)
{
    unsigned char into[16];
    return inet_pton(AF_INET, name, into) == 1 || inet_pton(AF_INET6, name, into) == 1;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    if (node == NULL || *node == 0 || is_address(node))
        return real(node, service, hints, found);
    ask(node);
    return EAI_AGAIN;
}

int getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_length,
                char *service, socklen_t service_length, int flags)
{
    int (*real)(const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int) =
        dlsym(RTLD_NEXT, "getnameinfo");
    if (host != NULL && !(flags & NI_NUMERICHOST)) {
        ask("the name of an address");
        return EAI_AGAIN;
    }
    return real(address, length, host, host_length, service, service_length, flags);
}

static int no_host(const char *what, struct hostent **result, int *error)
{
    ask(what);
    *result = NULL;
    *error = TRY_AGAIN;
    return 11; /* EAGAIN */
}

int gethostbyname_r(const char *name, struct hostent *into, char *buffer, size_t length,
                    struct hostent **result, int *error)
{
    return no_host(name, result, error);
}

int gethostbyaddr_r(const void *address, socklen_t address_length, int family,
                    struct hostent *into, char *buffer, size_t length, struct hostent **result,
                    int *error)
{
    return no_host("the name of an address", result, error);
}
