import { Counter, Gauge, Histogram, Registry as PromRegistry, collectDefaultMetrics } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

/** Counters, gauges and histograms under Prometheus' naming rules. Asking again for a known name gives the same metric. */
export interface Metrics {
  /** Returns a function that adds `by` (default 1). */
  counter(name: string, help: string, labels?: readonly string[]): (labels?: Labels, by?: number) => void;
  /** Returns a function that sets the value. */
  gauge(name: string, help: string, labels?: readonly string[]): (value: number, labels?: Labels) => void;
  /** Returns a function that observes one value. */
  histogram(
    name: string,
    help: string,
    given: { readonly labels: readonly string[]; readonly buckets: readonly number[] },
  ): (value: number, labels?: Labels) => void;
  /** The text exposition of everything. */
  text(): Promise<string>;
}

/** A registry of its own, so that several systems live in one process. */
export function createMetrics(options: { processMetrics?: boolean } = {}): Metrics {
  const registry = new PromRegistry();
  if (options.processMetrics) collectDefaultMetrics({ register: registry });
  const known = new Map<string, unknown>();
  const once = <T>(name: string, Kind: new (...given: never[]) => T, make: () => T): T => {
    const metric = known.get(name) ?? make();
    known.set(name, metric);
    if (metric instanceof Kind) return metric;
    throw new TypeError(`the metric ${name} is there already, and no ${Kind.name}`);
  };
  const registers = [registry];
  return {
    counter(name, help, labels = []) {
      const metric = once(name, Counter, () => new Counter({ name, help, labelNames: [...labels], registers }));
      return (values = {}, by = 1) => metric.inc(values, by);
    },
    gauge(name, help, labels = []) {
      const metric = once(name, Gauge, () => new Gauge({ name, help, labelNames: [...labels], registers }));
      return (value, values = {}) => metric.set(values, value);
    },
    histogram(name, help, { labels, buckets }) {
      const metric = once(name, Histogram, () => new Histogram({ name, help, labelNames: [...labels], buckets: [...buckets], registers }));
      return (value, values = {}) => metric.observe(values, value);
    },
    text: () => registry.metrics(),
  };
}
