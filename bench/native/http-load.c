// http-load PORT CONNECTIONS SIZE SECONDS RATE MODE: asks 127.0.0.1:PORT as a browser does, by CONNECTIONS at a time, and checks that each
// answer is a 200 of SIZE bytes. MODE kept: the next request when the answer is here, or with a RATE by the clock, whatever is still
// under way; an answer's time is from when its request was due. MODE new: a connection for each request, which the server closes. MODE
// resumed: the same, by TLS with a session of an earlier one, which the server must accept. MODE echo: each connection becomes a
// WebSocket, and a message of SIZE bytes, 125 at most, stands for a request, and what comes back for the answer. MODE idle: one request by
// each connection; says "connected" when all have their answers, and waits. Tells microseconds.
#include "wire.h"
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

enum { MOST = 1 << 16, CHUNK = 1 << 18, HEAD = 4096, TIMES = 1 << 23 };
static const double patience = 2;
static const char fields[] =
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\n"
    "Cookie: session=abcdefghijklmnopqrstuvwxyz0123456789; theme=dark\r\n"
    "Sec-Fetch-Mode: navigate\r\n";

// Each connection by its descriptor: bytes of its answer that came, the answer's length, 0 before its head, and when it was asked for.
static struct connection {
  long got, length;
  double due;
  int waits;
  char head[HEAD];
} all[MOST];
static struct sockaddr_in to;
static char query[2048], rest[CHUNK];
static int asking, events, fresh, echo, ready_ones[MOST], readies;
static long size, asked, answered, failed;
static double rate;
static float *took;

static int ascending(const void *a, const void *b) {
  float d = *(const float *)a - *(const float *)b;
  return d < 0 ? -1 : d > 0;
}

// Of a 101, nothing comes behind it before the first message.
static void upgrade(int fd) {
  static const char asked[] = "GET /socket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  long got = 0;
  wire_send(fd, asked, sizeof asked - 1);
  for (double limit = now() + patience; !memmem(rest, got, "\r\n\r\n", 4);) {
    long more = wire_receive(fd, rest + got, HEAD - got);
    if (more > 0) got += more;
    else if (now() > limit || errno != EAGAIN) break;
  }
  if (got < 12 || memcmp(rest, "HTTP/1.1 101", 12)) die("no WebSocket");
}

static int join(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
  if (fd < 0 || fd >= MOST || connect(fd, (void *)&to, sizeof to)) die("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (wire_open(fd)) die("handshake");
  if (echo) upgrade(fd);
  if (epoll_ctl(events, EPOLL_CTL_ADD, fd, &e)) die("epoll_ctl");
  return fd;
}

static void ask(int fd, double due) {
  struct connection *c = &all[fd];
  c->got = c->length = 0;
  c->due = due;
  c->waits = 1;
  asked++;
  // What fails here ends the connection, which an event tells.
  wire_send(fd, query, asking);
}

// Gives a connection, or the one in its place, its next work.
static void next(int fd, double at) {
  all[fd].waits = 0;
  if (rate) ready_ones[readies++] = fd;
  else ask(fd, at);
}

static void done(int fd) {
  double at = now();
  if (answered < TIMES) took[answered] = at - all[fd].due;
  answered++;
  if (fresh) wire_close(fd), fd = join();
  next(fd, at);
}

static void fail(int fd) {
  // A connection that was closed while it had nothing to do is not a failure.
  int waited = all[fd].waits;
  if (waited) failed++;
  for (int i = 0; i < readies; i++)
    if (ready_ones[i] == fd) ready_ones[i] = ready_ones[--readies];
  wire_close(fd);
  next(join(), now());
}

// The whole length of a 200 of the right size, 0 while its head is incomplete, -1 of another answer.
static long whole(struct connection *c) {
  if (echo) return c->got < 2 ? 0 : (unsigned char)c->head[0] == 0x82 && c->head[1] == size ? size + 2 : -1;
  char *end = memmem(c->head, c->got, "\r\n\r\n", 4);
  if (!end) return c->got < HEAD ? 0 : -1;
  *end = 0;
  char *field = strcasestr(c->head, "\r\nContent-Length: ");
  if (memcmp(c->head, "HTTP/1.1 200", 12) || !field || atol(field + 18) != size) return -1;
  return end + 4 - c->head + size;
}

static void receive(int fd) {
  struct connection *c = &all[fd];
  int headless = !c->length;
  long got = headless ? wire_receive(fd, c->head + c->got, HEAD - c->got) : wire_receive(fd, rest, CHUNK);
  if (got < 0 && errno == EAGAIN) return;
  int complete = c->length && c->got == c->length;
  if (got == 0 && fresh && complete) return done(fd);
  if (got <= 0 || complete || !c->waits) return fail(fd);
  c->got += got;
  if (headless) c->length = whole(c);
  if (c->length < 0 || (c->length && c->got > c->length)) return fail(fd);
  if (!fresh && c->length && c->got == c->length) done(fd);
}

static void serve(double wait) {
  struct epoll_event ready[256];
  struct timespec most = {0, wait > 0 ? (long)(wait * 1e9) : 0};
  int n = epoll_pwait2(events, ready, 256, &most, 0);
  for (int i = 0; i < n; i++) {
    int fd = ready[i].data.fd;
    do receive(fd);
    while (wire_pending(fd));
  }
}

static void tell(double seconds) {
  long count = answered < TIMES ? answered : TIMES;
  double sum = 0;
  for (long i = 0; i < count; i++) sum += took[i];
  qsort(took, count, sizeof *took, ascending);
  double half = count ? took[count / 2] : 0, most = count ? took[(long)(count * 0.99)] : 0;
  printf("{\"asked\":%ld,\"answered\":%ld,\"failed\":%ld,\"seconds\":%.6f,\"mean\":%.2f,\"p50\":%.2f,\"p99\":%.2f}\n", asked,
         answered, failed, seconds, count ? sum / count * 1e6 : 0, half * 1e6, most * 1e6);
}

// Each once. Then whoever has been answered has nothing to do.
static int be_idle(int connections, double seconds) {
  rate = 1;
  for (int i = 0; i < connections; i++) {
    ask(join(), now());
    for (double end = now() + patience; answered + failed <= i && now() < end;) serve(0.1);
  }
  if (answered < connections) return fprintf(stderr, "%ld of %d connections were answered\n", answered, connections), 1;
  printf("connected\n");
  fflush(stdout);
  for (double end = now() + seconds; now() < end;) serve(0.1);
  tell(seconds);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 7) return fprintf(stderr, "usage: http-load PORT CONNECTIONS SIZE SECONDS RATE kept|new|resumed|echo|idle\n"), 2;
  to = address("127.0.0.1", argv[1]);
  int connections = atoi(argv[2]);
  double seconds = atof(argv[4]);
  size = atol(argv[3]), rate = atof(argv[5]), echo = !strcmp(argv[6], "echo");
  int resumed = !strcmp(argv[6], "resumed");
  fresh = resumed || !strcmp(argv[6], "new");
  wire_setup(resumed ? connections : 0);
  signal(SIGPIPE, SIG_IGN);
  asking = sprintf(query, "GET /path/of/some/length?and=a&query=string HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n%s%s\r\n", argv[1], fields,
                   fresh ? "Connection: close\r\n" : "");
  // A mask of zeros leaves the message as it is.
  if (echo) asking = 6 + size, memset(query, 0, 6), query[0] = (char)0x82, query[1] = 0x80 | size, memset(query + 6, 'x', size);
  if (!(took = malloc(TIMES * sizeof *took))) die("malloc");
  events = epoll_create1(0);
  prctl(PR_SET_TIMERSLACK, 1000UL);
  if (!strcmp(argv[6], "idle")) return be_idle(connections, seconds);
  if (!rate) stay_aside();
  double begin = now(), end = begin + seconds, due = begin;
  for (int i = 0; i < connections; i++) next(join(), now());
  while (now() < end) {
    for (; rate && readies && due <= now() && due < end; due = begin + asked / rate) ask(ready_ones[--readies], due);
    double left = (rate && readies ? due : end) - now();
    serve(left < 0.1 ? left : 0.1);
  }
  // Those under way: at a rate they were asked for in time, so they count, and if they do not come, they are failures.
  long counted = answered;
  for (double limit = now() + patience; rate && answered + failed < asked && now() < limit;) serve(0.1);
  if (rate) failed = asked - answered;
  else answered = counted;
  tell(now() - begin);
}
