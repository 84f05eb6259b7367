// count HOST PORT SIZE EXPECTED IDLE_MS: receives until EXPECTED bytes or IDLE_MS of silence after the first. With a SIZE it
// tells how many of the load's numbered datagrams came whole, once, and in order.
#include "common.h"
#include <poll.h>

enum { NUMBERS = 1 << 26, PATIENCE_MS = 10000 };
static unsigned char seen[NUMBERS / 8];
static struct batch b;

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "usage: count HOST PORT SIZE EXPECTED IDLE_MS\n"), 2;
  int s = receiver(address(argv[1], argv[2]), PLENTY), size = atoi(argv[3]), idle = atoi(argv[5]);
  long long expected = atoll(argv[4]), bytes = 0, datagrams = 0, intact = 0, repeated = 0, disordered = 0;
  if (!expected) stay_aside();
  int64_t last = -1;
  double first = 0, end = 0;
  struct pollfd ready = {s, POLLIN, 0};
  while ((!expected || bytes < expected) && poll(&ready, 1, datagrams ? idle : PATIENCE_MS) > 0) {
    int n = take(s, &b);
    end = now();
    if (!datagrams) first = end;
    for (int i = 0; i < n; i++) {
      int length = b.head[i].msg_len, each = segment(&b.head[i]);
      bytes += length;
      if (!length) datagrams++;
      for (int at = 0; at < length; at += each) {
        uint64_t number;
        datagrams++;
        if (!size || each != size || length - at < size || b.data[i][at + size - 1] != '\n') continue;
        memcpy(&number, b.data[i] + at, sizeof number);
        number = be64toh(number);
        if (number >= NUMBERS) continue;
        unsigned char bit = 1 << number % 8;
        if (seen[number / 8] & bit) repeated++;
        else intact++;
        seen[number / 8] |= bit;
        if ((int64_t)number < last) disordered++;
        last = number;
      }
    }
  }
  printf("{\"bytes\":%lld,\"datagrams\":%lld,\"intact\":%lld,\"repeated\":%lld,\"disordered\":%lld,\"seconds\":%.6f}\n", bytes,
         datagrams, intact, repeated, disordered, end - first);
}
