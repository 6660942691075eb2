import { type DescMethod, type DescService, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';

/**
 * A service that protoc-gen-es generated, in the form @grpc/grpc-js takes, for server and client alike: for `sidero.grpc.add`.
 * Whoever is no management plane imports it from `@sidero/core/service-definition`, which loads nothing else.
 */
export function serviceDefinition(service: DescService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(service, method)]));
}

// grpc-js hands every message on as it is; its type is `object` here, and exact again where it is handled.
function methodDefinition(service: DescService, method: DescMethod): MethodDefinition<object, object> {
  const encode = (schema: DescMethod['input']) => (message: object) => Buffer.from(toBinary(schema, message as never));
  const decode = (schema: DescMethod['input']) => (bytes: Buffer) => fromBinary(schema, bytes);
  const { methodKind } = method;
  return {
    path: `/${service.typeName}/${method.name}`,
    requestStream: methodKind === 'bidi_streaming' || methodKind === 'client_streaming',
    responseStream: methodKind === 'bidi_streaming' || methodKind === 'server_streaming',
    originalName: method.name,
    requestSerialize: encode(method.input),
    requestDeserialize: decode(method.input),
    responseSerialize: encode(method.output),
    responseDeserialize: decode(method.output),
  };
}
