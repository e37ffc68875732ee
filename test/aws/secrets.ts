import { type Service, ServiceError } from "./cloud.ts";

/** Secrets Manager, as far as one secret's value; it is created with a random value, as by CloudFormation. */
export interface Secrets {
  service: Service;
  /** The current value. */
  readonly text: string;
}

export function secretsService(arn: string): Secrets {
  const versions = [{ id: "00000000-0000-0000-0000-000000000000", text: "q7+Rz/2h%Kd" }];
  const current = () => versions.at(-1)!;
  const about = (SecretId: unknown) => {
    if (SecretId !== arn) throw new ServiceError("ResourceNotFoundException", `no secret ${String(SecretId)}`);
    return { ARN: arn, Name: arn.split(":").at(-1), VersionStages: ["AWSCURRENT"] };
  };
  return {
    async service(action, input) {
      const secret = about(input["SecretId"]);
      if (action === "GetSecretValue") return { ...secret, VersionId: current().id, SecretString: current().text };
      if (action !== "PutSecretValue") throw new ServiceError("UnknownOperationException", action);
      const { ClientRequestToken: id, SecretString: text } = input as {
        ClientRequestToken: string;
        SecretString: string;
      };
      if (!/^.{32,64}$/.test(id)) throw new ServiceError("InvalidParameterException", "ClientRequestToken");
      const there = versions.find((version) => version.id === id);
      if (there && there.text !== text) throw new ServiceError("ResourceExistsException", "the version is there");
      if (!there) versions.push({ id, text });
      return { ...secret, VersionId: id };
    },
    get text() {
      return current().text;
    },
  };
}
