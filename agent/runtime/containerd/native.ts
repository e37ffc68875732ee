import type { ServiceTable } from "#agent/grpc";

/** containerd's own services, as far as images' imports and mounts and the events of changes use them. */
export const native = {
  package: "containerd.services",
  services: {
    "content.v1.Content": [
      "Write WriteContentRequest WriteContentResponse",
      "Read ReadContentRequest ReadContentResponse",
    ],
    "images.v1.Images": [
      "Create CreateImageRequest CreateImageResponse",
      "Update CreateImageRequest CreateImageResponse",
    ],
    "leases.v1.Leases": ["Create LeaseRequest LeaseResponse", "Delete DeleteLeaseRequest Empty"],
    "snapshots.v1.Snapshots": ["View ViewSnapshotRequest ViewSnapshotResponse", "Remove RemoveSnapshotRequest Empty"],
    "events.v1.Events": ["Subscribe SubscribeRequest Envelope"],
  },
  enums: {
    WriteAction: "STAT=0 WRITE=1 COMMIT=2",
  },
  messages: {
    Empty: "",
    WriteContentRequest: [
      "action 1 WriteAction, ref 2 string, total 3 int64, expected 4 string, offset 5 int64, data 6 bytes",
      "labels 7 map<string,string>",
    ],
    WriteContentResponse: "action 1 WriteAction, offset 4 int64, total 5 int64, digest 6 string",
    ReadContentRequest: "digest 1 string, offset 2 int64, size 3 int64",
    ReadContentResponse: "offset 1 int64, data 2 bytes",
    ViewSnapshotRequest: "snapshotter 1 string, key 2 string, parent 3 string, labels 4 map<string,string>",
    ViewSnapshotResponse: "mounts 1 []Mount",
    RemoveSnapshotRequest: "snapshotter 1 string, key 2 string",
    Mount: "type 1 string, source 2 string, target 3 string, options 4 []string",
    Descriptor: "media_type 1 string, digest 2 string, size 3 int64",
    Image: "name 1 string, labels 2 map<string,string>, target 3 Descriptor",
    CreateImageRequest: "image 1 Image",
    CreateImageResponse: "image 1 Image",
    LeaseRequest: "id 1 string, labels 3 map<string,string>",
    Lease: "id 1 string",
    LeaseResponse: "lease 1 Lease",
    DeleteLeaseRequest: "id 1 string, sync 2 bool",
    SubscribeRequest: "filters 1 []string",
    Envelope: "namespace 2 string, topic 3 string",
  },
} satisfies ServiceTable;
