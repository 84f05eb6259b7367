import { choice, flagNames } from 'mproxy-base';

/** The flag of the engine, which all programs have. */
export const ENGINE = {
  engine: choice('engine', ['auto', 'linux', 'node'], {
    default: 'auto',
    help: 'socket engine: batched system calls on Linux, or Node alone',
  }),
};

/** `--engine`, for messages. */
export const ENGINE_NAME = flagNames({ ENGINE }).engine;
