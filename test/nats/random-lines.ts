import { randomBytes } from 'node:crypto';

/** Numbered lines with random text, at least so many bytes of them. */
export function randomLines(bytes: number): Buffer {
  const text = randomBytes(1000).toString('base64');
  const all: string[] = [];
  for (let i = 0, length = 0; length < bytes; i++) {
    const line = `${i} ${text.slice(i % 100, 600 + ((i * 7) % 700))}\n`;
    all.push(line);
    length += line.length;
  }
  return Buffer.from(all.join(''));
}
