// probe TO_PORT FROM_PORT SIZE COUNT RATE WARM: the time through a relay on 127.0.0.1. Sends by the clock, whatever is still under
// way, so that a relay that pauses is not asked less. The first WARM of them are
// only there to run the relay's code for the first time. Tells microseconds.
#include "common.h"
#include <poll.h>
#include <sys/prctl.h>

static double *sent, *took;

static int ascending(const void *a, const void *b) {
  double d = *(const double *)a - *(const double *)b;
  return d < 0 ? -1 : d > 0;
}

int main(int argc, char **argv) {
  if (argc != 7) return fprintf(stderr, "usage: probe TO_PORT FROM_PORT SIZE COUNT RATE WARM\n"), 2;
  struct sockaddr_in to = address("127.0.0.1", argv[1]);
  int in = receiver(address("127.0.0.1", argv[2]), PLENTY), out = sender(), size = atoi(argv[3]), warm = atoi(argv[6]),
      count = warm + atoi(argv[4]);
  double rate = atof(argv[5]), begin = now() + 0.01;
  int next = 0, back = 0, kept = 0;
  static char data[ROOM];
  if (size < 4 || size > LARGEST || count < 1 || warm < 0) return 2;
  sent = calloc(count, sizeof *sent), took = calloc(count, sizeof *took);
  struct pollfd ready = {in, POLLIN, 0};
  prctl(PR_SET_TIMERSLACK, 1000UL);
  while (back < count) {
    double due = next < count ? begin + next / rate : begin + count / rate + 0.5, left = due - now();
    if (left <= 0 && next == count) break;
    if (left <= 0) {
      memcpy(data, &next, sizeof next);
      sent[next++] = now();
      sendto(out, data, size, 0, (void *)&to, sizeof to);
      continue;
    }
    struct timespec wait = {0, (long)((left < 0.9 ? left : 0.9) * 1e9)};
    if (ppoll(&ready, 1, &wait, 0) <= 0) continue;
    int number, got = recv(in, data, ROOM, 0);
    memcpy(&number, data, sizeof number);
    if (got != size || number < 0 || number >= next) continue;
    if (number >= warm) took[kept++] = now() - sent[number];
    back++;
  }
  qsort(took, kept, sizeof *took, ascending);
  double half = kept ? took[kept / 2] : 0, most = kept ? took[(int)(kept * 0.99)] : 0;
  printf("{\"sent\":%d,\"received\":%d,\"p50\":%.2f,\"p99\":%.2f}\n", next - warm, kept, half * 1e6, most * 1e6);
}
