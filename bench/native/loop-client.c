// loop-client FILE PORT SIZE: the least work that a sender of a file can ask of the kernel.
#include "common.h"
#include <fcntl.h>

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  struct sockaddr_in to = address("127.0.0.1", argv[2]);
  int file = open(argv[1], O_RDONLY), out = sender(), size = atoi(argv[3]), each = LARGEST / size;
  static char data[ROOM];
  if (file < 0) die(argv[1]);
  if (each > SEGMENTS) each = SEGMENTS;
  if (setsockopt(out, SOL_UDP, UDP_SEGMENT, &size, sizeof size)) die("UDP_SEGMENT");
  if (connect(out, (void *)&to, sizeof to)) die("connect");
  for (int n; (n = read(file, data, each * size)) > 0;)
    if (send(out, data, n, 0) < 0) perror("send");
}
