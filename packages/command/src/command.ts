import { closeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { Command, CommanderError, Option } from 'commander';
import { type Flag, MproxyError, parseDuration, VERSION } from 'mproxy-base';
// The help must appear at once: only the necessary part of the library is loaded here.
import type { CommonOptions, Handle, Notice } from 'mproxy-flow';
import type { StatusOptions } from 'mproxy-status';
import { STATUS } from 'mproxy-status/flags';
import { type About, fullSummary, keyGroups, UNITS } from './about.js';
import { failed, messageOf } from './events.js';
import { flagGroups } from './flags.js';
import { abortWith } from './internal-error.js';
import { askedFormat, LOG } from './log-format.js';
import { Messages } from './messages.js';
import { Signals } from './signals.js';

/** A command: its description, and the library function that it starts. */
export interface CommandSpec extends About {
  /** Loads the library only when the command runs, so that help appears at once. */
  start(options: never, stop: AbortSignal): Promise<Handle> | Handle;
  /** What the command prints to stdout and ends with, instead of running; undefined: it runs. Notices go to stderr. */
  print?(options: never, onNotice: (notice: Notice) => void): Promise<string | undefined>;
  /** Shows progress while it runs; returns a function that ends it. */
  progress?(handle: Handle, options: never, messages: Messages): () => void;
}

/** Options of the command line only. */
interface ShellOptions extends CommonOptions {
  quiet?: boolean;
  stats?: string | true;
  log?: string;
  tee?: boolean;
  path?: string;
}

/** Runs a command with the arguments of this process, and exits with its status. */
export async function runCommand(spec: CommandSpec): Promise<void> {
  // At exit Node restores the modes of terminals, and aborts if one has hung up (ResetStdio, src/node.cc).
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  const args = process.argv.slice(2);
  const format = askedFormat(args);
  const messages = new Messages(spec.name, format);
  // Unhandled rejections arrive here, too (Node: process, --unhandled-rejections).
  process.on('uncaughtException', (error) => abortWith(spec.name, format, error));
  try {
    const options = parse(spec, args);
    LOG.read(options?.log as never, '--log', {});
    const text =
      options &&
      (await spec.print?.(ownOptions(options) as never, (notice) => messages.say(messageOf(notice))));
    if (text !== undefined) await written(text);
    else if (options) await run(spec, options, messages);
  } catch (error) {
    if (!(error instanceof MproxyError)) abortWith(spec.name, format, error);
    if (!error.reported)
      for (const message of error.message.split('\n')) messages.say(failed({ code: error.code, message }));
    process.exitCode = error.exitStatus;
  }
  await messages.shown();
  for (const fd of terminals) if (!isatty(fd)) closeSync(fd);
  process.exit();
}

async function run(spec: CommandSpec, options: ShellOptions, messages: Messages): Promise<void> {
  const { say } = messages;
  const { quiet, stats } = options;
  const rest = ownOptions(options);
  const period = stats === undefined ? undefined : statsPeriod(stats);
  const signals = new Signals();
  const { stop } = signals;
  const show = (notice: Notice) => {
    if (notice.kind === 'loss' || !quiet) say(messageOf(notice));
  };
  const shown = await showStatus(spec, options, stop, show);
  rest.onNotice = (notice) => {
    shown?.notice(notice);
    show(notice);
  };
  const showStats = period === undefined ? undefined : await statsOn(period, options, messages);
  const { tellManager } = await import('./systemd.js');
  const handle = await spec.start(rest as never, stop);
  signals.runs(handle);
  shown?.watch(handle);
  const stopStats = showStats?.(handle);
  const stopTelling = await tellManager(handle, stop, say);
  const stopProgress = quiet ? undefined : spec.progress?.(handle, options as never, messages);
  try {
    await handle.done;
  } finally {
    stopTelling();
    stopProgress?.();
    stopStats?.();
    await shown?.close();
  }
}

/** The options of the library, without those that the command line itself serves. */
function ownOptions({ quiet: _, log: __, ...rest }: ShellOptions): ShellOptions {
  for (const name of Object.keys(STATUS)) delete (rest as Record<string, unknown>)[name];
  return rest;
}

/** Resolves when stdout has taken a text, or its reader is gone. */
async function written(text: string): Promise<void> {
  process.stdout.on('error', () => undefined);
  await new Promise((resolve) => process.stdout.write(text, resolve));
}

/** Whether data go to a terminal, between whose lines nothing can be drawn. */
function sharesTerminal({ tee, path }: ShellOptions): boolean {
  return isatty(1) && (tee === true || path === '-');
}

/** Loaded only if it is asked for. @returns what shows the counters in every period, and returns a function that ends it */
async function statsOn(
  period: number,
  options: ShellOptions,
  messages: Messages,
): Promise<(handle: Handle) => () => void> {
  if (!messages.terminal || sharesTerminal(options)) {
    const { printStats } = await import('./stats.js');
    return (handle) => printStats(handle, period, messages.say);
  }
  const { drawStats } = await import('./stats-table.js');
  return (handle) => drawStats(handle, period, (lines) => messages.drawTable(lines));
}

/** Loaded only if it is asked for. */
async function showStatus(
  { name: program }: CommandSpec,
  options: ShellOptions,
  stopping: AbortSignal,
  onNotice: (notice: Notice) => void,
) {
  if (Object.keys(STATUS).every((name) => !Object.hasOwn(options, name))) return undefined;
  const { openStatus, readStatusOptions } = await import('mproxy-status');
  const values = readStatusOptions(options as StatusOptions);
  try {
    return values && (await openStatus(values, { program, stopping, onNotice }));
  } catch (error) {
    // A name whose resolution was cancelled by the stop.
    if (error !== stopping.reason) throw error;
    return undefined;
  }
}

/** @returns undefined when help or the version was printed */
function parse(spec: CommandSpec, args: string[]): ShellOptions | undefined {
  const program = describe(spec);
  try {
    if (args.length === 0) program.outputHelp();
    else return program.parse(args, { from: 'user' }).opts<ShellOptions>();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    const message =
      error.code === 'commander.excessArguments'
        ? `${program.args[0]}: every value belongs to a flag`
        : error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
    throw new MproxyError('MPROXY_USAGE', `${message}; see ${spec.name} --help`);
  }
  return undefined;
}

function describe(about: About): Command {
  const { name, examples } = about;
  const program = new Command(name)
    .description(fullSummary(about))
    .usage('[options]')
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ helpWidth: process.stdout.columns ?? 100 })
    .allowExcessArguments(false);
  for (const [heading, group] of flagGroups(about)) {
    program.optionsGroup(`${heading}:`);
    for (const flag of group) {
      if (flag.name === '--version') program.version(VERSION, usage(flag), flag.help);
      else if (flag.name === '--help') program.helpOption(usage(flag), flag.help);
      else program.addOption(option(flag));
    }
  }
  const keys = keyGroups(about).map(([heading, items]) => `${heading}:\n${items.map(keyLine).join('')}\n`);
  const lines = examples.map((line) => `  ${line}\n`);
  return program.addHelpText('after', `\n${keys.join('')}${UNITS}\n\nExamples:\n${lines.join('')}`);
}

function keyLine([key, help]: [key: string, help: string]): string {
  return `  ${key.padEnd(20)}  ${help}\n`;
}

function option(flag: Flag): Option {
  const made = new Option(usage(flag), flag.help);
  if (flag.repeats) made.argParser((next: string, all: string[] | undefined) => [...(all ?? []), next]);
  return made;
}

/** A flag as shown in the help and passed to commander: `-t, --tee`, `--stats [TIME]`. */
function usage({ name, short, value, optional }: Flag): string {
  const shape = value === undefined ? '' : optional ? ` [${value}]` : ` <${value}>`;
  return `${short ? `${short}, ` : ''}${name}${shape}`;
}

function statsPeriod(stats: string | true): number {
  const period = stats === true ? 1000 : parseDuration('--stats', stats);
  if (period >= 100) return period;
  throw new MproxyError('MPROXY_USAGE', `--stats: ${stats}: less than 100 ms`);
}
