// loop-fanout-tls GROUP PORT TCP_PORT CLIENTS CERT KEY: the least work that a fan-out can ask of the kernel and of OpenSSL: waits in
// epoll, and gives a batch at once to each client by SSL_write.
#include "common.h"
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/epoll.h>

enum { MOST = 1000 };
static struct batch b;
static char joined[BATCH * ROOM];

static void ssl_die(const char *what) {
  fprintf(stderr, "%s: ", what);
  ERR_print_errors_fp(stderr);
  exit(1);
}

static SSL_CTX *context(const char *cert, const char *key) {
  SSL_CTX *made = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_use_certificate_chain_file(made, cert) != 1) ssl_die(cert);
  if (SSL_CTX_use_PrivateKey_file(made, key, SSL_FILETYPE_PEM) != 1) ssl_die(key);
  return made;
}

static SSL *secure(SSL_CTX *context, int fd) {
  SSL *ssl = SSL_new(context);
  if (fd < 0 || SSL_set_fd(ssl, fd) != 1 || SSL_accept(ssl) != 1) ssl_die("SSL_accept");
  if (fcntl(fd, F_SETFL, O_NONBLOCK)) die("O_NONBLOCK");
  return ssl;
}

static void write_all(SSL *ssl, const char *data, int n) {
  while (n > 0) {
    int done = SSL_write(ssl, data, n);
    if (done > 0) {
      data += done, n -= done;
      continue;
    }
    if (SSL_get_error(ssl, done) != SSL_ERROR_WANT_WRITE) return;
    poll(&(struct pollfd){.fd = SSL_get_fd(ssl), .events = POLLOUT}, 1, -1);
  }
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  struct sockaddr_in at = address("127.0.0.1", argv[3]);
  int in = receiver(address(argv[1], argv[2]), USUAL), door = socket(AF_INET, SOCK_STREAM, 0), count = atoi(argv[4]), one = 1;
  SSL_CTX *its = context(argv[5], argv[6]);
  SSL *client[MOST];
  if (count > MOST) return 2;
  setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(door, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (bind(door, (void *)&at, sizeof at) || listen(door, MOST)) die("listen");
  for (int i = 0; i < count; i++) client[i] = secure(its, accept(door, 0, 0));
  int events = epoll_create1(0);
  if (epoll_ctl(events, EPOLL_CTL_ADD, in, &(struct epoll_event){.events = EPOLLIN})) die("epoll_ctl");
  for (struct epoll_event ready; epoll_wait(events, &ready, 1, -1) != 0;) {
    int n = take(in, &b), length = 0;
    for (int j = 0; j < n; j++) {
      memcpy(joined + length, b.data[j], b.head[j].msg_len);
      length += b.head[j].msg_len;
    }
    for (int i = 0; i < count; i++) write_all(client[i], joined, length);
  }
}
