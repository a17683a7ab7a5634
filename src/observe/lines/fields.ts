/** More names than this help nobody in one line. */
export const MOST_NAMES = 20;

export interface OfInstance {
  readonly project: string;
  readonly instanceId: string;
  readonly instanceName: string;
}

export const instanceFields = (event: OfInstance): Record<string, unknown> => ({
  project: event.project,
  instance_id: event.instanceId,
  instance_name: event.instanceName,
});

/** Names an instance among all that are watched. */
export const instanceKeyOf = ({ project, instanceId }: OfInstance): string => `${project}/${instanceId}`;

/** Seconds to the millisecond. */
export const round = (seconds: number): number => Math.round(seconds * 1000) / 1000;

export const iso = (at: number): string => new Date(at).toISOString();
