// readers PORT CLIENTS SIZE EXPECTED IDLE_MS: connects CLIENTS times to TCP 127.0.0.1:PORT, says so, and reads until each has
// EXPECTED bytes or IDLE_MS of silence. Tells the records that came whole and in order: all, and of the client with fewest.
// Compiled with TLS, it is readers-tls: by TLS 1.3, from a server whose certificate it does not verify.
#include "common.h"
#include <sys/epoll.h>
#ifdef TLS
#include <fcntl.h>
#include <openssl/ssl.h>
#endif

enum { MOST = 1000, CHUNK = 1 << 18, PATIENCE_MS = 10000, NOTHING_YET = -1 };
struct client {
  int fd, at, torn;
  uint64_t number;
  long long last, bytes, records;
#ifdef TLS
  SSL *ssl;
#endif
};
static struct client clients[MOST];
static char data[CHUNK];

#ifdef TLS
static void secure(struct client *c) {
  static SSL_CTX *context;
  if (!context) context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_read_ahead(context, 1);
  c->ssl = SSL_new(context);
  if (SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1) die("SSL_connect");
  if (fcntl(c->fd, F_SETFL, O_NONBLOCK)) die("O_NONBLOCK");
}

// A record at a time, until there is none.
static int take_some(struct client *c) {
  int got = 0, n = 1;
  while (n > 0 && got < CHUNK) {
    n = SSL_read(c->ssl, data + got, CHUNK - got);
    if (n > 0) got += n;
  }
  return got || SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ ? got : NOTHING_YET;
}
#else
static void secure(struct client *c) { (void)c; }

static int take_some(struct client *c) {
  int got = read(c->fd, data, CHUNK);
  return got < 0 ? 0 : got;
}
#endif

// Looks at the number and the end of each record alone: to look at every byte would slow down whom it measures.
static void check(struct client *c, const char *p, int n, int size) {
  c->bytes += n;
  while (n > 0) {
    if (c->at < 8) {
      c->number = c->number << 8 | (unsigned char)*p++;
      c->at++, n--;
      continue;
    }
    int step = size - c->at < n ? size - c->at : n;
    p += step, n -= step, c->at += step;
    if (c->at < size) return;
    if (p[-1] == '\n' && (long long)c->number > c->last) c->records++;
    else c->torn = 1;
    c->last = c->number;
    c->at = 0, c->number = 0;
  }
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "usage: readers PORT CLIENTS SIZE EXPECTED IDLE_MS\n"), 2;
  struct sockaddr_in to = address("127.0.0.1", argv[1]);
  int count = atoi(argv[2]), size = atoi(argv[3]), idle = atoi(argv[5]), events = epoll_create1(0), open = count;
  long long expected = atoll(argv[4]), total = 0, least = -1, records = 0, torn = 0;
  if (count > MOST) return 2;
  for (int i = 0; i < count; i++) {
    clients[i] = (struct client){.fd = socket(AF_INET, SOCK_STREAM, 0), .last = -1};
    if (connect(clients[i].fd, (void *)&to, sizeof to)) die("connect");
    secure(&clients[i]);
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
    epoll_ctl(events, EPOLL_CTL_ADD, clients[i].fd, &e);
  }
  printf("connected\n");
  fflush(stdout);
  double first = 0, end = 0;
  struct epoll_event ready[256];
  while (open && total < expected * count) {
    int n = epoll_wait(events, ready, 256, total ? idle : PATIENCE_MS);
    if (n <= 0) break;
    end = now();
    if (!first) first = end;
    for (int i = 0; i < n; i++) {
      struct client *c = &clients[ready[i].data.u32];
      int got = take_some(c);
      if (got == 0) epoll_ctl(events, EPOLL_CTL_DEL, c->fd, 0), open--;
      else if (got > 0) check(c, data, got, size), total += got;
    }
  }
  for (int i = 0; i < count; i++) {
    records += clients[i].records;
    torn += clients[i].torn;
    if (least < 0 || clients[i].records < least) least = clients[i].records;
  }
  printf("{\"bytes\":%lld,\"records\":%lld,\"least\":%lld,\"torn\":%lld,\"seconds\":%.6f}\n", total, records, least, torn,
         end - first);
}
