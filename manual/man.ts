import { type Flag, VERSION } from 'mproxy-base';
import { type About, flagGroups, fullSummary, keyGroups, UNITS } from 'mproxy-command';
import { KEYS } from 'mproxy-net/keys';
import {
  ADDRESSES,
  DESCRIPTION,
  ENVIRONMENT,
  EXIT_STATUS,
  type Item,
  STOP,
  TLS_ENVIRONMENT,
} from './manual.js';
import { namesOf } from './values.js';

/** A man page in man(7) format. */
export function manPage(about: About, others: string[], date: string): string {
  const { name, summary, hangup, examples, manual } = about;
  const flags = flagGroups(about).flatMap(([, group]) => group);
  const keys = flags.map((flag) => flag.name.slice(2)).filter((key) => Object.hasOwn(KEYS, key));
  const purpose = (summary[0]!.toLowerCase() + summary.slice(1)).replace(/\.$/, '');
  const onHangup =
    hangup === undefined
      ? 'As SIGTERM. Node discards a SIGHUP that is ignored: use setsid(1) or systemd-run(1) in place of nohup(1).'
      : `It ${hangup}.`;
  const signals = [
    ['SIGINT, SIGTERM', manual?.stop ?? STOP],
    ['SIGHUP', onHangup],
  ] as const;
  return [
    `.TH ${name.toUpperCase()} 1 ${date} "mproxy ${VERSION}" "User commands"`,
    section('NAME', prose(`${name} - ${purpose}`)),
    section('SYNOPSIS', `.B ${roff(name)}\n.RI [ options ]`),
    section(
      'DESCRIPTION',
      paragraphs([fullSummary(about), ...(manual ? [...manual.description, UNITS] : DESCRIPTION)]),
    ),
    section('OPTIONS', flagGroups(about).map(optionGroup).join('\n')),
    ...(manual
      ? []
      : [
          section(
            'ADDRESSES',
            paragraphs([...ADDRESSES, `The keys of this command: ${keys.join(', ')}.`, UNITS]),
          ),
        ]),
    ...keyGroups(about).map(([heading, keys]) => `.SS ${roff(heading)}\n${items(keys)}`),
    section('EXIT STATUS', items(EXIT_STATUS)),
    section('SIGNALS', items(signals)),
    section('ENVIRONMENT', items(flags.some(isTrust) ? [...ENVIRONMENT, ...TLS_ENVIRONMENT] : ENVIRONMENT)),
    section('EXAMPLES', `.EX\n${examples.map(roff).join('\n')}\n.EE`),
    section('SEE ALSO', [...others.map((other) => reference(other, 1)), reference('udp', 7)].join(',\n')),
  ].join('\n');
}

function isTrust({ name }: Flag): boolean {
  return name === '--tls-ca';
}

function section(heading: string, text: string): string {
  return `.SH ${heading}\n${text}`;
}

function paragraphs(texts: readonly string[]): string {
  return texts.map(prose).join('\n.PP\n');
}

function items(all: readonly Item[]): string {
  return all.map(([what, text]) => `.TP\n.B ${roff(what)}\n${prose(text)}`).join('\n');
}

function optionGroup([heading, flags]: [string, Flag[]]): string {
  return [`.SS ${roff(heading)}`, ...flags.map(optionItem)].join('\n');
}

function optionItem(flag: Flag): string {
  const { value, optional, help } = flag;
  const names = namesOf(flag).map((name) => `\\fB${roff(name)}\\fR`);
  const shape = value === undefined ? '' : `\\fI${roff(value)}\\fR`;
  const takes = shape && (optional ? ` [${shape}]` : ` ${shape}`);
  return `.TP\n${names.join(', ')}${takes}\n${prose(help)}`;
}

function reference(name: string, part: number): string {
  return `\\fB${roff(name)}\\fR(${part})`;
}

/** Escapes text for roff (groff_char(7)). */
function roff(text: string): string {
  const marks: Record<string, string> = {
    '\\': '\\e',
    '-': '\\-',
    "'": '\\(aq',
    '`': '\\(ga',
    '^': '\\(ha',
    '~': '\\(ti',
  };
  return text.replace(/[\\\-'`^~]/g, (mark) => marks[mark]!);
}

/** Escapes and wraps text to 80 bytes. A period at the start of a line would be a request. */
function prose(text: string): string {
  return roff(text)
    .replace(/(.{1,78})(?: |$)/g, '$1\n')
    .trimEnd()
    .replace(/^(?=\.)/gm, '\\&');
}
