/** A goal of the project, and whether this run met it. */
export interface Verdict {
  work: string;
  goal: string;
  measured: string;
  met: boolean;
}
