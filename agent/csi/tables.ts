import type { ServiceTable } from "#agent/grpc";

/** The container storage interface, csi.v1 of the specification 1.13: the node's calls. See agent/grpc for the form. */
export const csi: ServiceTable = {
  package: "csi.v1",
  services: {
    Identity: [
      "GetPluginInfo GetPluginInfoRequest GetPluginInfoResponse",
      "GetPluginCapabilities GetPluginCapabilitiesRequest GetPluginCapabilitiesResponse",
      "Probe ProbeRequest ProbeResponse",
    ],
    Node: [
      "NodeStageVolume NodeStageVolumeRequest NodeStageVolumeResponse",
      "NodeUnstageVolume NodeUnstageVolumeRequest NodeUnstageVolumeResponse",
      "NodePublishVolume NodePublishVolumeRequest NodePublishVolumeResponse",
      "NodeUnpublishVolume NodeUnpublishVolumeRequest NodeUnpublishVolumeResponse",
      "NodeGetVolumeStats NodeGetVolumeStatsRequest NodeGetVolumeStatsResponse",
      "NodeExpandVolume NodeExpandVolumeRequest NodeExpandVolumeResponse",
      "NodeGetCapabilities NodeGetCapabilitiesRequest NodeGetCapabilitiesResponse",
      "NodeGetInfo NodeGetInfoRequest NodeGetInfoResponse",
    ],
  },
  enums: {
    AccessModeType: [
      "UNKNOWN=0 SINGLE_NODE_WRITER=1 SINGLE_NODE_READER_ONLY=2 MULTI_NODE_READER_ONLY=3",
      "MULTI_NODE_SINGLE_WRITER=4 MULTI_NODE_MULTI_WRITER=5 SINGLE_NODE_SINGLE_WRITER=6 SINGLE_NODE_MULTI_WRITER=7",
    ].join(" "),
    NodeCapability: [
      "UNKNOWN=0 STAGE_UNSTAGE_VOLUME=1 GET_VOLUME_STATS=2 EXPAND_VOLUME=3 SINGLE_NODE_MULTI_WRITER=5",
      "VOLUME_MOUNT_GROUP=6 GET_VOLUME_HEALTH=7 GET_STORAGE_HEALTH=8",
    ].join(" "),
    UsageUnit: "UNKNOWN=0 BYTES=1 INODES=2",
  },
  messages: {
    AccessMode: "mode 1 AccessModeType",
    BlockVolume: "",
    BoolValue: "value 1 bool",
    CapacityRange: "required_bytes 1 int64, limit_bytes 2 int64",
    GetPluginCapabilitiesRequest: "",
    GetPluginCapabilitiesResponse: "capabilities 1 []PluginCapability",
    GetPluginInfoRequest: "",
    GetPluginInfoResponse: "name 1 string, vendor_version 2 string, manifest 3 map<string,string>",
    MountVolume: "fs_type 1 string, mount_flags 2 []string, volume_mount_group 3 string",
    NodeExpandVolumeRequest: [
      "volume_id 1 string, volume_path 2 string, capacity_range 3 CapacityRange, staging_target_path 4 string",
      "volume_capability 5 VolumeCapability, secrets 6 map<string,string>",
    ],
    NodeExpandVolumeResponse: "capacity_bytes 1 int64",
    NodeGetCapabilitiesRequest: "",
    NodeGetCapabilitiesResponse: "capabilities 1 []NodeServiceCapability",
    NodeGetInfoRequest: "",
    NodeGetInfoResponse: "node_id 1 string, max_volumes_per_node 2 int64, accessible_topology 3 Topology",
    NodeGetVolumeStatsRequest: "volume_id 1 string, volume_path 2 string, staging_target_path 3 string",
    NodeGetVolumeStatsResponse: "usage 1 []VolumeUsage",
    NodePublishVolumeRequest: [
      "volume_id 1 string, publish_context 2 map<string,string>, staging_target_path 3 string, target_path 4 string",
      "volume_capability 5 VolumeCapability, readonly 6 bool, secrets 7 map<string,string>",
      "volume_context 8 map<string,string>",
    ],
    NodePublishVolumeResponse: "",
    NodeServiceCapability: "rpc 1 NodeServiceCapabilityRPC",
    NodeServiceCapabilityRPC: "type 1 NodeCapability",
    NodeStageVolumeRequest: [
      "volume_id 1 string, publish_context 2 map<string,string>, staging_target_path 3 string",
      "volume_capability 4 VolumeCapability, secrets 5 map<string,string>, volume_context 6 map<string,string>",
    ],
    NodeStageVolumeResponse: "",
    NodeUnpublishVolumeRequest: "volume_id 1 string, target_path 2 string",
    NodeUnpublishVolumeResponse: "",
    NodeUnstageVolumeRequest: "volume_id 1 string, staging_target_path 2 string",
    NodeUnstageVolumeResponse: "",
    PluginCapability: "",
    ProbeRequest: "",
    ProbeResponse: "ready 1 BoolValue",
    Topology: "segments 1 map<string,string>",
    VolumeCapability: "block 1 BlockVolume, mount 2 MountVolume, access_mode 3 AccessMode",
    VolumeUsage: "available 1 int64, total 2 int64, used 3 int64, unit 4 UsageUnit",
  },
};

/** pluginregistration.v1, which a registrar beside the driver serves; v1beta1 and v1 have the same package and messages. */
export const registration: ServiceTable = {
  package: "pluginregistration",
  services: {
    Registration: [
      "GetInfo InfoRequest PluginInfo",
      "NotifyRegistrationStatus RegistrationStatus RegistrationStatusResponse",
    ],
  },
  enums: {},
  messages: {
    InfoRequest: "",
    PluginInfo: "type 1 string, name 2 string, endpoint 3 string, supported_versions 4 []string",
    RegistrationStatus: "plugin_registered 1 bool, error 2 string",
    RegistrationStatusResponse: "",
  },
};
