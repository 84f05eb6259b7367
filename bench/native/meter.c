// meter FILE COMMAND...: runs a command to its end, and writes what it cost into FILE.
#include "common.h"
#include <sys/resource.h>
#include <sys/wait.h>

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec * 1e-6; }

int main(int argc, char **argv) {
  if (argc < 3) return fprintf(stderr, "usage: meter FILE COMMAND...\n"), 2;
  struct rusage used;
  int status;
  double begin = now();
  pid_t child = fork();
  if (!child) {
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    _exit(127);
  }
  if (wait4(child, &status, 0, &used) < 0) die("wait4");
  FILE *file = fopen(argv[1], "w");
  if (!file) die(argv[1]);
  fprintf(file, "{\"cpu\":%.6f,\"rss\":%ld,\"seconds\":%.6f}\n", seconds(used.ru_utime) + seconds(used.ru_stime),
          used.ru_maxrss, now() - begin);
  fclose(file);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
