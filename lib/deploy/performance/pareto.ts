/** Which of several choices are worth having: none other is as good in all and better in something. */

/** What a choice costs, less is better, and what it is worth, more is better. */
export interface Choice {
  readonly cost: number;
  readonly worth: number;
}

/** Those that no other beats, the cheapest first. Of equals all stay. */
export function paretoFront<Each extends Choice>(choices: readonly Each[]): Each[] {
  const isBeaten = ({ cost, worth }: Each) =>
    choices.some((other) => other.cost <= cost && other.worth >= worth && (other.cost < cost || other.worth > worth));
  return choices.filter((choice) => !isBeaten(choice)).sort((a, b) => a.cost - b.cost || a.worth - b.worth);
}
