// http-origin PORT SIZE: an HTTP/1.1 server on 127.0.0.1 that answers each request without a body with SIZE bytes, and never closes a
// connection itself. One that asks for WebSocket gets it; then each message of SIZE bytes is answered with one (a mask of zeros is taken
// for granted, and less than 126 bytes). What stands behind the proxies, so it is on the generator's CPU. Dies with its parent.
#include "common.h"
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

enum { MOST = 1 << 16, CHUNK = 1 << 16 };
static char request[CHUNK + 1], *answer, *frame;
static long length, size;
// The answer to the key of RFC 6455, section 1.3.
static const char switched[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLBmTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
// Of each connection: how much of "\r\n\r\n", or how many bytes of a message, the last bytes were, requests or messages to answer, and
// bytes sent of the current answer.
static struct {
  int matched, asked, websocket;
  long sent;
} all[MOST];

static void watch(int events, int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd};
  if (fd >= MOST || epoll_ctl(events, EPOLL_CTL_ADD, fd, &e)) die("epoll_ctl");
  memset(&all[fd], 0, sizeof all[fd]);
}

static void count_ends(int fd, int bytes) {
  for (int i = 0; i < bytes; i++) {
    int matched = all[fd].matched;
    if (request[i] == "\r\n\r\n"[matched]) matched++;
    else matched = request[i] == '\r';
    if (matched == 4) all[fd].asked++, matched = 0;
    all[fd].matched = matched;
  }
}

// A message has two bytes before its own (RFC 6455, section 5.2), and from a client four more, the mask.
static void count_messages(int fd, int bytes) {
  int each = size + 6, got = all[fd].matched + bytes;
  all[fd].asked += got / each;
  all[fd].matched = got % each;
}

static void count_requests(int fd, int bytes) {
  request[bytes] = 0;
  if (all[fd].websocket) return count_messages(fd, bytes);
  if (!strcasestr(request, "\r\nUpgrade: websocket\r\n")) return count_ends(fd, bytes);
  all[fd].websocket = 1;
  // The buffer of a new connection has room for it.
  send(fd, switched, sizeof switched - 1, MSG_NOSIGNAL);
}

// Returns 0 when the socket takes no more.
static int answers(int fd) {
  const char *text = all[fd].websocket ? frame : answer;
  long whole = all[fd].websocket ? size + 2 : length;
  while (all[fd].asked) {
    long out = send(fd, text + all[fd].sent, whole - all[fd].sent, MSG_NOSIGNAL);
    if (out < 0) return 0;
    if ((all[fd].sent += out) == whole) all[fd].sent = 0, all[fd].asked--;
  }
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: http-origin PORT SIZE\n"), 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  stay_aside();
  size = atol(argv[2]);
  if (!(answer = malloc(size + 100)) || !(frame = malloc(size + 2))) die("malloc");
  frame[0] = (char)0x82, frame[1] = size, memset(frame + 2, 'x', size);
  length = sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %ld\r\n\r\n", size);
  memset(answer + length, 'x', size);
  length += size;
  int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1, events = epoll_create1(0);
  struct sockaddr_in a = address("127.0.0.1", argv[1]);
  setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(l, (void *)&a, sizeof a) || listen(l, 4096)) die("listen");
  watch(events, l);
  for (;;) {
    struct epoll_event ready[256];
    int n = epoll_wait(events, ready, 256, -1);
    for (int i = 0; i < n; i++) {
      int fd = ready[i].data.fd, c;
      if (fd == l) {
        while ((c = accept4(l, 0, 0, SOCK_NONBLOCK)) >= 0) watch(events, c);
        continue;
      }
      while (answers(fd)) {
        int got = recv(fd, request, CHUNK, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) close(fd);
        if (got <= 0) break;
        count_requests(fd, got);
        // A short read leaves nothing: epoll(7), questions and answers, 9.
        if (got < CHUNK && answers(fd)) break;
      }
    }
  }
}
