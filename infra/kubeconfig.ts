export interface KubeconfigOptions {
  cluster: string;
  region: string;
  server: string;
  clusterId: string;
}

/**
 * One command that writes kubectl's configuration: the server, and `aws eks get-token` as the credential plugin. The
 * AWS CLI creates tokens without a call to EKS, for any cluster name.
 */
export function kubeconfigCommand({ cluster, region, server, clusterId }: KubeconfigOptions): string {
  const name = `skiff-${cluster}`;
  const words = ["eks", "get-token", "--cluster-name", clusterId, "--region", region, "--output", "json"];
  return [
    `kubectl config set-cluster ${name} --server=${server}`,
    `kubectl config set-credentials ${name} --exec-api-version=client.authentication.k8s.io/v1beta1 --exec-command=aws ${words
      .map((word) => `--exec-arg=${word}`)
      .join(" ")}`,
    `kubectl config set-context ${name} --cluster=${name} --user=${name}`,
    `kubectl config use-context ${name}`,
  ].join(" && ");
}

/**
 * The same for the gateway, by a kubectl that reaches the cluster through API Gateway: the cluster contains the CA of
 * the gateway's certificate, and the credentials are the same.
 */
export function gatewayCommand({ cluster, server }: Pick<KubeconfigOptions, "cluster" | "server">): string {
  const [user, name, file] = [`skiff-${cluster}`, `skiff-${cluster}-gateway`, `skiff-${cluster}-gateway.crt`];
  return [
    `kubectl --context=${user} get configmap skiff-gateway -n kube-public -o "jsonpath={.data['ca\\.crt']}" > ${file}`,
    `kubectl config set-cluster ${name} --server=${server} --certificate-authority=${file} --embed-certs`,
    `kubectl config set-context ${name} --cluster=${name} --user=${user}`,
    `kubectl config use-context ${name}`,
  ].join(" && ");
}
