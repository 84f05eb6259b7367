import { choice } from 'mproxy-base';
import type { Message } from './events.js';

/** How messages are written to stderr. */
export type LogFormat = 'text' | 'json';

/** DEL, C1 and the separators of Unicode: some readers take them as commands or as ends of a line. JSON leaves them as they are. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029]/g;

export const LOG = choice('log format', ['text', 'json'] as const, {
  default: 'text',
  help: 'how messages are written to stderr: as text, or as one JSON object per line',
});

/** One message, with its newline. */
export function formatMessage(format: LogFormat, program: string, message: Message): string {
  if (format === 'text') return `${program}: ${message.text}\n`;
  const { level, event, text, fields } = message;
  const line = { time: new Date().toISOString(), level, program, event, text, fields };
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return `${JSON.stringify(line).replace(UNSAFE, escaped)}\n`;
}

/** The format that a command line asks for, also where the rest of it is wrong. */
export function askedFormat(args: readonly string[]): LogFormat {
  const given = args.findLastIndex((arg) => arg === '--log' || arg.startsWith('--log='));
  const value = args[given] === '--log' ? args[given + 1] : args[given]?.slice('--log='.length);
  return value === 'json' ? 'json' : 'text';
}
