// loop-http PORT ORIGIN_PORT: the least work that a reverse proxy with kept connections on both sides can ask of the kernel. It takes
// each request to come whole, in one receive, and without a body, and each answer to have a Content-Length; it checks nothing.
#include "common.h"
#include <sys/epoll.h>

enum { MOST = 1 << 16, CHUNK = 1 << 18, ADDED = 128 };
static char buffer[CHUNK];
static const char close_field[] = "Connection: close\r\n";
static const char fields[] = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n";

// Each socket by its descriptor. Of an upstream: how much of the answer is still to come, 0 before its head, and what its client did
// not take yet.
static struct side {
  int peer, upstream, closes, held, done;
  long left;
  char *rest;
} all[MOST];
static int idle[MOST], idles, events;
static struct sockaddr_in to;

static void watch(int fd, int upstream) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
  if (fd >= MOST || epoll_ctl(events, EPOLL_CTL_ADD, fd, &e)) die("epoll_ctl");
  char *rest = all[fd].rest;
  all[fd] = (struct side){.peer = -1, .upstream = upstream, .rest = rest};
}

// Of the two, none is left half way through an answer.
static void drop(int fd) {
  int peer = all[fd].peer;
  all[fd].peer = -1;
  if (peer >= 0) all[peer].peer = -1;
  for (int i = 0; all[fd].upstream && i < idles; i++)
    if (idle[i] == fd) idle[i] = idle[--idles];
  close(fd);
  if (peer >= 0) close(peer);
}

static int upstream(void) {
  if (idles) return idle[--idles];
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (void *)&to, sizeof to)) die("connect");
  watch(fd, 1);
  return fd;
}

static void request(int c) {
  int got = recv(c, buffer, CHUNK - ADDED, MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno != EAGAIN)) drop(c);
  if (got <= 0) return;
  char *field = memmem(buffer, got, close_field, sizeof close_field - 1);
  if (field) {
    char *after = field + sizeof close_field - 1;
    memmove(field, after, buffer + got - after);
    got -= sizeof close_field - 1;
    all[c].closes = 1;
  }
  int u = upstream();
  all[c].peer = u;
  all[u].peer = c;
  memcpy(buffer + got - 2, fields, sizeof fields - 1);
  got += sizeof fields - 3;
  if (send(u, buffer, got, MSG_NOSIGNAL) != got) drop(c);
}

static void hold(struct side *s, const char *bytes, int length) {
  if (!s->rest && !(s->rest = malloc(CHUNK))) die("malloc");
  memcpy(s->rest, bytes, s->held = length);
  s->done = 0;
}

// Sends what is held. Returns 0 when the client takes no more, or has gone, of which an event tells.
static int release(struct side *s) {
  if (!s->held) return 1;
  int out = send(s->peer, s->rest + s->done, s->held - s->done, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (out > 0) s->done += out;
  if (s->done < s->held) return 0;
  return s->held = 0, 1;
}

static void end(int u) {
  int c = all[u].peer;
  all[u].peer = all[c].peer = -1;
  all[u].left = 0;
  idle[idles++] = u;
  if (all[c].closes) close(c);
}

static void answer(int u) {
  struct side *s = &all[u];
  while (s->peer < 0 || release(s)) {
    if (s->peer >= 0 && s->left < 0) return end(u);
    int got = recv(u, buffer, CHUNK, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) drop(u);
    if (got <= 0 || s->peer < 0) return;
    if (!s->left) {
      char *body = memmem(buffer, got, "\r\n\r\n", 4), *field = memmem(buffer, got, "Content-Length: ", 16);
      if (!body || !field) return drop(u);
      s->left = body + 4 - buffer + atol(field + 16);
    }
    if (!(s->left -= got)) s->left = -1;
    int out = send(s->peer, buffer, got, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (out < 0) out = 0;
    if (out < got) hold(s, buffer + out, got - out);
    else if (s->left < 0) return end(u);
    // A short read leaves nothing: epoll(7), questions and answers, 9.
    else if (got < CHUNK) return;
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: loop-http PORT ORIGIN_PORT\n"), 2;
  struct sockaddr_in a = address("127.0.0.1", argv[1]);
  to = address("127.0.0.1", argv[2]);
  int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(l, (void *)&a, sizeof a) || listen(l, 4096)) die("listen");
  events = epoll_create1(0);
  watch(l, 0);
  for (;;) {
    struct epoll_event ready[256];
    int n = epoll_wait(events, ready, 256, -1);
    for (int i = 0; i < n; i++) {
      int fd = ready[i].data.fd, c;
      if (fd == l)
        while ((c = accept4(l, 0, 0, SOCK_NONBLOCK)) >= 0) watch(c, 0);
      else if (all[fd].upstream) answer(fd);
      else if (all[fd].peer >= 0 && ready[i].events & EPOLLRDHUP) drop(fd);
      else if (all[fd].peer >= 0) answer(all[fd].peer);
      else if (ready[i].events & EPOLLIN) request(fd);
    }
  }
}
