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

static inline void wire_setup(void) {
  if (!(context = SSL_CTX_new(TLS_client_method()))) die("SSL_CTX_new");
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
}

// The handshake blocks; what follows does not.
static inline int wire_open(int fd) {
  SSL *s = wires[fd] = SSL_new(context);
  SSL_set_fd(s, fd);
  if (SSL_connect(s) != 1) return -1;
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
static inline void wire_setup(void) {}
static inline int wire_open(int fd) { return fd < 0; }
static inline void wire_send(int fd, const char *data, int length) { send(fd, data, length, MSG_NOSIGNAL); }
static inline long wire_receive(int fd, char *data, long room) { return recv(fd, data, room, MSG_DONTWAIT); }
static inline int wire_pending(int fd) { return fd < 0; }
static inline void wire_close(int fd) { close(fd); }
#endif
#endif
