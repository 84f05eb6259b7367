import { writeFileSync } from 'node:fs';

/** An AIS sentence of typical length. */
const LINE = '!AIVDM,1,1,,A,13u?etPv2;0n:dDPwUM1U1Cb069D,0*24\r\n';
export const LINE_BYTES = LINE.length;

/** Writes a file of AIS sentences. */
export function writeLines(path: string, bytes: number): void {
  const block = Buffer.from(LINE.repeat(20_000));
  writeFileSync(path, '');
  for (let left = bytes; left > 0; left -= block.length)
    writeFileSync(path, block.subarray(0, Math.min(left, block.length)), { flag: 'a' });
}
