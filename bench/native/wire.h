// A connection of http-load by its descriptor: plain TCP, or TLS 1.3 when it is compiled with TLS.
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H
#include "common.h"

#ifdef TLS
#include <fcntl.h>
#include <openssl/ssl.h>

enum { WIRES = 1 << 16 };
static SSL_CTX *context;
static SSL *wires[WIRES];
// Those that the server gave and nobody used: a ticket is for one connection (RFC 8446, appendix C.4).
static SSL_SESSION *sessions[WIRES];
static int held, resuming, firsts;

static int hold_session(SSL *s, SSL_SESSION *given) { return s && held < WIRES ? sessions[held++] = given, 1 : 0; }

// After so many FULL handshakes each one resumes a session; with 0 none does.
static inline void wire_setup(int full) {
  if (!(context = SSL_CTX_new(TLS_client_method()))) die("SSL_CTX_new");
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  if (!(resuming = (firsts = full) > 0)) return;
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, hold_session);
}

// The handshake blocks; what follows does not.
static inline int wire_open(int fd) {
  SSL *s = wires[fd] = SSL_new(context);
  SSL_set_fd(s, fd);
  int resumes = resuming && !firsts;
  if (firsts) firsts--;
  if (resumes && held) SSL_set_session(s, sessions[--held]), SSL_SESSION_free(sessions[held]);
  if (SSL_connect(s) != 1 || (resumes && !SSL_session_reused(s))) return errno = EPROTO, -1;
  return fcntl(fd, F_SETFL, O_NONBLOCK);
}

static inline void wire_send(int fd, const char *data, int length) { SSL_write(wires[fd], data, length); }

static inline long wire_receive(int fd, char *data, long room) {
  int got = SSL_read(wires[fd], data, room);
  if (got > 0) return got;
  int error = SSL_get_error(wires[fd], got);
  errno = error == SSL_ERROR_WANT_READ ? EAGAIN : ECONNRESET;
  return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

// Bytes that were decrypted and not yet taken, which epoll does not tell.
static inline int wire_pending(int fd) { return wires[fd] ? SSL_pending(wires[fd]) : 0; }

static inline void wire_close(int fd) {
  SSL_set_quiet_shutdown(wires[fd], 1);
  SSL_shutdown(wires[fd]);
  SSL_free(wires[fd]);
  wires[fd] = 0;
  close(fd);
}
#else
static inline void wire_setup(int full) {
  if (full) fprintf(stderr, "sessions are resumed by TLS\n"), exit(2);
}
static inline int wire_open(int fd) { return fd < 0; }
static inline void wire_send(int fd, const char *data, int length) { send(fd, data, length, MSG_NOSIGNAL); }
static inline long wire_receive(int fd, char *data, long room) { return recv(fd, data, room, MSG_DONTWAIT); }
static inline int wire_pending(int fd) { return fd < 0; }
static inline void wire_close(int fd) { close(fd); }
#endif
#endif
