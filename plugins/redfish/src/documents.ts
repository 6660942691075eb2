import * as z from 'zod';

/**
 * What we read of Redfish's resources. A member that is missing, null or of another type is undefined: services differ, and only who needs
 * a member can say whether it lacks. What is no object at all is refused by `read`.
 */
const maybe = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined);
const text = maybe(z.string().max(4096));
const texts = maybe(z.array(z.string().max(256)).max(256));
const link = maybe(z.object({ '@odata.id': z.string().min(1).max(2048) }));
/** Entries that are no links are left out. */
const links = maybe(
  z
    .array(z.unknown())
    .max(4096)
    .transform((entries) => entries.flatMap((entry) => link.parse(entry) ?? [])),
);

export const ServiceRoot = z.object({
  RedfishVersion: text,
  Product: text,
  Systems: link,
  SessionService: link,
  AccountService: link,
  Links: maybe(z.object({ Sessions: link })),
});
export type ServiceRoot = z.output<typeof ServiceRoot>;

export const Collection = z.object({ Members: links, 'Members@odata.nextLink': text });

export const ComputerSystem = z.object({
  '@odata.etag': text,
  Name: text,
  UUID: text,
  SerialNumber: text,
  SKU: text,
  Manufacturer: text,
  Model: text,
  BiosVersion: text,
  PowerState: text,
  Boot: maybe(
    z.object({
      BootSourceOverrideTarget: text,
      BootSourceOverrideEnabled: text,
      BootSourceOverrideMode: text,
      'BootSourceOverrideTarget@Redfish.AllowableValues': texts,
      'BootSourceOverrideEnabled@Redfish.AllowableValues': texts,
      'BootSourceOverrideMode@Redfish.AllowableValues': texts,
    }),
  ),
  Actions: maybe(
    z.object({
      '#ComputerSystem.Reset': maybe(z.object({ target: text, 'ResetType@Redfish.AllowableValues': texts, '@Redfish.ActionInfo': text })),
    }),
  ),
  Links: maybe(z.object({ ManagedBy: links })),
});
export type ComputerSystem = z.output<typeof ComputerSystem>;

export const ActionInfo = z.object({
  Parameters: maybe(z.array(z.object({ Name: text, AllowableValues: texts }).catch({ Name: undefined, AllowableValues: undefined })).max(64)),
});

export const Manager = z.object({ FirmwareVersion: text, Model: text });

/** What a service answers when it made something. */
export const Created = z.object({ '@odata.id': text });

export const AccountService = z.object({ Accounts: link });

export const Account = z.object({ '@odata.etag': text, UserName: text });

/** A Task, or the end of one. */
export const Task = z.object({ TaskState: text, TaskStatus: text, Messages: maybe(z.array(z.unknown()).max(256)) });

const message = maybe(z.object({ Message: text, MessageId: text }));

/** How Redfish tells an error; `code` and the identifiers of messages are the same in every language. */
const ErrorAnswer = z.object({
  error: maybe(z.object({ code: text, message: text, '@Message.ExtendedInfo': maybe(z.array(message).max(64)) })),
});

/** A JSON text read as one of the shapes above; undefined when it is no JSON or no object. Never throws. */
export function read<S extends z.ZodObject>(shape: S, json: string): z.output<S> | undefined {
  try {
    // Some services put a byte order mark in front.
    return shape.safeParse(JSON.parse(json.replace(/^\uFEFF/, ''))).data;
  } catch {
    return undefined;
  }
}

/** What an error answer says, as text; the answer itself when it is none of Redfish's. */
export function errorTextOf(json: string): string {
  const error = read(ErrorAnswer, json)?.error;
  const told = error?.['@Message.ExtendedInfo']?.flatMap((entry) => entry?.Message ?? []) ?? [];
  return told.find((sentence) => sentence !== '') ?? (error?.message || error?.code || json);
}

/** What the messages of a Task say first. */
export function taskTextOf({ Messages = [] }: z.output<typeof Task>): string | undefined {
  return Messages.flatMap((entry) => message.parse(entry)?.Message ?? []).find((sentence) => sentence !== '');
}
