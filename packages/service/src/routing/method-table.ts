/** What serves the methods of one path. */
export class MethodTable<T> {
  readonly #byMethod = new Map<string, T>();
  /** Serves the methods that no other one names. */
  #others: T | undefined;
  /** The value of Allow (RFC 9110, section 10.2.1). */
  #allow = '';

  /**
   * Adds what serves some methods; undefined: those that no other one names.
   * @returns what serves one of them already; then nothing is added
   */
  add(methods: readonly string[] | undefined, value: T): { method: string | undefined; by: T } | undefined {
    if (methods === undefined) {
      if (this.#others !== undefined) return { method: undefined, by: this.#others };
      this.#others = value;
      return undefined;
    }
    const method = methods.find((one) => this.#byMethod.has(one));
    if (method !== undefined) return { method, by: this.#byMethod.get(method)! };
    for (const one of methods) this.#byMethod.set(one, value);
    const all = [...this.#byMethod.keys()].flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one]));
    this.#allow = [...new Set(all)].join(', ');
    return undefined;
  }

  /** HEAD is served where GET is. */
  find(method: string): T | undefined {
    const found = this.#byMethod.get(method);
    if (found !== undefined) return found;
    return (method === 'HEAD' ? this.#byMethod.get('GET') : undefined) ?? this.#others;
  }

  get allow(): string {
    return this.#allow;
  }
}
