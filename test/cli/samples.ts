/** The documented sample answers, one instance each; times of the later ones are made up, the shapes are not. */
export const SAMPLES = [
  {
    id: "6ec6cf7a-0c83-4b3c-9b3f-1f0f1f3ab001",
    name: "seed",
    engine: "kafka",
    body: {
      task_count: "4",
      tasks: [
        {
          id: "8abfa7b372160bfd0172165864064079",
          name: "modifyAutoTopic",
          user_name: "paas_dms",
          user_id: "3df5acbc24a54fadb62a043c9000a307",
          params: '{"old_auto_status":true,"new_auto_status":false}',
          status: "EXECUTING",
          created_at: "2020-05-15T03:19:51.046Z",
          updated_at: "2020-05-15T03:19:51.065Z",
        },
        {
          id: "8abfa7b372160bfd017216560af83e6e",
          name: "changeRetentionPolicy",
          user_name: "paas_dms",
          user_id: "3df5acbc24a54fadb62a043c9000a307",
          params: '{"new_retention_policy":"produce_reject","origin_retention_policy":"time_base"}',
          status: "SUCCESS",
          created_at: "2020-05-15T03:17:17.176Z",
          updated_at: "2020-05-15T03:17:22.162Z",
        },
      ],
    },
  },
  {
    id: "6ec6cf7a-0c83-4b3c-9b3f-1f0f1f3ab002",
    name: "kafka",
    engine: "kafka",
    body: {
      task_count: "1",
      tasks: [
        {
          id: "8abfa7b27da211df017da340427b0979",
          name: "bindInstancePublicIp",
          user_name: "paas_dms",
          user_id: "3df5acbc24a54fadb62a043c9000a307",
          params:
            '{"public_ip_id":"13feaffc-3c5f-4ea4-9a8c-9f5c5f6f7d01","public_ip_address":"100.93.2.18","enable_public_ip":true}',
          status: "EXECUTING",
          created_at: "2021-12-10T07:03:27.355Z",
          updated_at: "2021-12-10T07:03:27.379Z",
        },
      ],
    },
  },
  {
    id: "6ec6cf7a-0c83-4b3c-9b3f-1f0f1f3ab003",
    name: "rabbit",
    engine: "rabbitmq",
    body: {
      task_count: "1",
      tasks: [
        {
          id: "ff80808272dcc90f0172df1e490f41b0",
          name: "bindInstancePublicIp",
          user_name: "dms_test",
          user_id: "xxxxxxxx93ff4b0d9c6ae4b0d9c6ae4b",
          params: '{"public_ip_id":"13feaffc-3c5f-4ea4-9a8c-9f5c5f6f7d02","enable_public_ip":true}',
          status: "SUCCESS",
          created_at: "2020-06-23T02:47:15.144Z",
          updated_at: "2020-06-23T02:47:16.544Z",
        },
      ],
    },
  },
  {
    id: "6ec6cf7a-0c83-4b3c-9b3f-1f0f1f3ab004",
    name: "dcs",
    engine: "rocketmq",
    body: {
      task_count: 1,
      tasks: [
        {
          id: "ff80808274f0c2950174f0c3a8a30002",
          name: "EXTEND",
          details: { old_capacity: "0.125", new_capacity: "0.25", old_port: 6379, enable_public_ip: false },
          user_name: "dcs_test",
          user_id: "3df5acbc24a54fadb62a043c9000a307",
          status: "SUCCESS",
          created_at: "2020-10-04T08:10:00.000Z",
          updated_at: "2020-10-04T08:11:40.000Z",
          enable_show: false,
        },
      ],
    },
  },
];
