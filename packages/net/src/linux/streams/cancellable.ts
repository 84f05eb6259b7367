/**
 * Waits for what a signal can cancel.
 * @param begin begins it, with what is to be called at its end
 * @throws its error, or the signal's reason
 */
export async function cancellable<T>(
  signal: AbortSignal | undefined,
  begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => { cancel(reason: unknown): void },
): Promise<T> {
  signal?.throwIfAborted();
  let aborted: () => void = () => undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      const running = begin(resolve, reject);
      aborted = () => running.cancel(signal?.reason);
      signal?.addEventListener('abort', aborted);
    });
  } finally {
    signal?.removeEventListener('abort', aborted);
  }
}
