// load HOST PORT SIZE COUNT RATE SECONDS SEGMENTED: sends numbered datagrams, each an 8-byte big-endian number, filling and a
// newline. RATE 0 is a flood. Ends after COUNT datagrams or SECONDS, whichever comes first. Tells what the kernel took.
#include "common.h"
#include <sys/prctl.h>

enum { BURST = 32 };
static char data[BURST][ROOM];

static void wait_until(double due) {
  struct timespec t = {(time_t)due, (long)((due - (time_t)due) * 1e9)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0);
}

int main(int argc, char **argv) {
  if (argc != 8) return fprintf(stderr, "usage: load HOST PORT SIZE COUNT RATE SECONDS SEGMENTED\n"), 2;
  struct sockaddr_in to = address(argv[1], argv[2]);
  int size = atoi(argv[3]), segmented = atoi(argv[7]), s = sender();
  long long count = atoll(argv[4]), next = 0, failed = 0;
  double rate = atof(argv[5]), most = atof(argv[6]);
  if (!rate) stay_aside();
  int each = segmented ? LARGEST / size : 1;
  if (each > SEGMENTS) each = SEGMENTS;
  if (segmented && setsockopt(s, SOL_UDP, UDP_SEGMENT, &size, sizeof size)) die("UDP_SEGMENT");
  // Half a millisecond's worth, so that a paced load is no sequence of floods.
  int burst = rate ? rate / each / 2000 : BURST;
  if (burst < 1) burst = 1;
  if (burst > BURST) burst = BURST;
  prctl(PR_SET_TIMERSLACK, 1000UL);

  struct mmsghdr head[BURST] = {0};
  struct iovec part[BURST];
  for (int i = 0; i < burst; i++) {
    memset(data[i], 'a' + i % 26, ROOM);
    for (int j = 1; j <= each; j++) data[i][j * size - 1] = '\n';
    part[i].iov_base = data[i];
    head[i].msg_hdr = (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part[i], .msg_iovlen = 1};
  }
  double begin = now();
  while (next < count && now() - begin < most) {
    int n = 0;
    if (rate) wait_until(begin + next / rate);
    for (; n < burst && next < count; n++) {
      int here = count - next < each ? count - next : each;
      for (int j = 0; j < here; j++) {
        uint64_t number = htobe64(next++);
        memcpy(data[n] + j * size, &number, sizeof number);
      }
      part[n].iov_len = here * size;
    }
    for (int done = 0; done < n;) {
      int sent = sendmmsg(s, head + done, n - done, 0);
      if (sent < 0) failed += part[done].iov_len / size;
      done += sent < 0 ? 1 : sent;
    }
  }
  printf("{\"sent\":%lld,\"seconds\":%.6f}\n", next - failed, now() - begin);
}
