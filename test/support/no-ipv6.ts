import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';

/** socket(2) of AF_INET6 fails with EAFNOSUPPORT in the program and its children, by a filter of system calls (seccomp(2)). */
const SOURCE = `
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int count, char **args) {
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { sizeof code / sizeof *code, code };
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
    return perror("seccomp"), 125;
  execvp(args[1], args + 1);
  return perror(args[1]), 126;
}
`;

/** Why IPv6 cannot be taken from a program here; false where it can. For `skip`. */
export const noCompiler: string | false =
  process.platform !== 'linux'
    ? 'seccomp is Linux'
    : spawnSync('cc', ['--version']).status !== 0
      ? 'cc is not installed'
      : !existsSync('/usr/include/linux/seccomp.h') && 'the headers of Linux are not installed';

/** Compiles the program that runs another without IPv6. @returns its path */
export function withoutIpv6(t: Test): string {
  const folder = t.testdir({ 'no-ipv6.c': SOURCE });
  const program = join(folder, 'no-ipv6');
  execFileSync('cc', ['-o', program, join(folder, 'no-ipv6.c')]);
  return program;
}
