// What the programs of the bench share: a clock, loopback addresses, sockets, and batches of datagrams.
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// linux/udp.h; older C libraries do not have them.
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

// udp(7): at most 64 segments a send; an IPv4 datagram holds 65,507 bytes.
// A contestant's buffer is what mproxy asks for; a counter's is far more, so that it is never the one that loses.
enum { USUAL = 8 << 20, PLENTY = 64 << 20 };
enum { BATCH = 64, ROOM = 65536, SEGMENTS = 64, LARGEST = 65507 };

static inline double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static inline void die(const char *what) {
  perror(what);
  exit(1);
}

// In a flood the generator and the counter play the network on the first CPU, and leave the others to the contestant: else it
// is the scheduler's luck whom the counter gets in the way of.
static inline void stay_aside(void) {
  cpu_set_t all, first;
  if (sched_getaffinity(0, sizeof all, &all)) die("sched_getaffinity");
  int cpu = 0;
  while (!CPU_ISSET(cpu, &all)) cpu++;
  CPU_ZERO(&first);
  CPU_SET(cpu, &first);
  if (sched_setaffinity(0, sizeof first, &first)) die("sched_setaffinity");
}

static inline struct sockaddr_in address(const char *host, const char *port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  if (inet_pton(AF_INET, host, &a.sin_addr) != 1) die(host);
  return a;
}

static inline int is_group(struct sockaddr_in a) { return IN_MULTICAST(ntohl(a.sin_addr.s_addr)); }

// Takes what it is granted; only root may go beyond the limit of sysctl.
static inline void room(int s, int forced, int usual, int bytes) {
  if (setsockopt(s, SOL_SOCKET, forced, &bytes, sizeof bytes)) setsockopt(s, SOL_SOCKET, usual, &bytes, sizeof bytes);
}

// A socket that sends to an address, to a group by the loopback interface alone.
static inline int sender(void) {
  int s = socket(AF_INET, SOCK_DGRAM, 0);
  struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
  room(s, SO_SNDBUFFORCE, SO_SNDBUF, 8 << 20);
  if (setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &loopback, sizeof loopback)) die("IP_MULTICAST_IF");
  return s;
}

// A bound socket that takes coalesced datagrams, and joins a group on the loopback interface alone.
static inline int receiver(struct sockaddr_in a, int bytes) {
  int s = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
  room(s, SO_RCVBUFFORCE, SO_RCVBUF, bytes);
  setsockopt(s, SOL_UDP, UDP_GRO, &one, sizeof one);
  if (is_group(a)) setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(s, (void *)&a, sizeof a)) die("bind");
  if (is_group(a)) {
    struct ip_mreq join = {.imr_multiaddr = a.sin_addr, .imr_interface.s_addr = htonl(INADDR_LOOPBACK)};
    if (setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join)) die("IP_ADD_MEMBERSHIP");
  }
  return s;
}

struct batch {
  struct mmsghdr head[BATCH];
  struct iovec part[BATCH];
  char data[BATCH][ROOM];
  _Alignas(struct cmsghdr) char control[BATCH][64];
};

// Waits for one datagram, and takes those that are there already.
static inline int take(int s, struct batch *b) {
  for (int i = 0; i < BATCH; i++) {
    b->part[i] = (struct iovec){b->data[i], ROOM};
    b->head[i].msg_hdr = (struct msghdr){.msg_iov = &b->part[i],
                                         .msg_iovlen = 1,
                                         .msg_control = b->control[i],
                                         .msg_controllen = sizeof b->control[i]};
  }
  return recvmmsg(s, b->head, BATCH, MSG_WAITFORONE, 0);
}

// The size of the datagrams that a buffer was coalesced from; its length when it is one.
static inline int segment(struct mmsghdr *m) {
  struct msghdr *h = &m->msg_hdr;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
    int size;
    if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
    memcpy(&size, CMSG_DATA(c), sizeof size);
    return size;
  }
  return m->msg_len;
}

// Asks for the segmentation of one message; the control buffer is the message's own.
static inline void cut(struct msghdr *h, char *control, uint16_t size) {
  h->msg_control = control;
  h->msg_controllen = CMSG_SPACE(sizeof size);
  struct cmsghdr *c = CMSG_FIRSTHDR(h);
  *c = (struct cmsghdr){.cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof size)};
  memcpy(CMSG_DATA(c), &size, sizeof size);
}
#endif
