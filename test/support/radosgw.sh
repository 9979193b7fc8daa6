#!/bin/sh
# Ceph's S3 gateway with a cluster of its own, as small as it goes: one monitor, one OSD that stores in memory, one gateway, all in the foreground of this script and on the loopback.
#   radosgw.sh DIRECTORY MONITOR-PORT PORT TLS-PORT CERTIFICATE
# DIRECTORY is to be new; CERTIFICATE is a file with a key and its certificate. Ends, with all that it started, when its input ends.
set -eu
directory=$1 monitor=$2 port=$3 tls=$4 certificate=$5
mkdir -p "$directory"
cd "$directory"
export CEPH_CONF="$directory/ceph.conf"
cat >"$CEPH_CONF" <<END
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon_host = v1:127.0.0.1:$monitor
mon_initial_members = a
public_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
run_dir = $directory
log_file = $directory/\$name.log
admin_socket = $directory/\$name.asok
pid_file =
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_warn_on_pool_no_redundancy = false
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
ms_bind_msgr2 = false
[mon.a]
mon_data = $directory/mon
# One monitor: nobody else is to be heard.
mon_election_timeout = 1
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_data_avail_crit = 1
mon_data_avail_warn = 1
[osd.0]
osd_data = $directory/osd
osd_objectstore = memstore
osd_class_load_list = *
osd_class_default_list = *
memstore_device_bytes = 4294967296
osd_heartbeat_interval = 30
[client.gateway]
rgw_frontends = beast tcp_nodelay=1 endpoint=127.0.0.1:$port ssl_endpoint=127.0.0.1:$tls ssl_certificate=$certificate
rgw_thread_pool_size = 16
rgw_enable_usage_log = false
rgw_enable_gc_threads = false
rgw_enable_lc_threads = false
rgw_run_sync_thread = false
rgw_dynamic_resharding = false
rgw_override_bucket_index_max_shards = 1
rgw_user_quota_sync_interval = 1
rgw_bucket_quota_ttl = 0
rgw_user_quota_bucket_sync_interval = 1
rgw_gc_max_objs = 1
rgw_lc_max_objs = 1
rgw_usage_max_shards = 1
rgw_usage_max_user_shards = 1
rgw_md_log_max_shards = 1
rgw_data_log_num_shards = 1
rgw_objexp_hints_num_shards = 1
rgw_num_rados_handles = 1
END
monmaptool --create --addv a "v1:127.0.0.1:$monitor" --fsid "$(sed -n 's/^fsid = //p' "$CEPH_CONF")" monmap >/dev/null
ceph-mon -i a --mkfs --monmap monmap
mkdir osd
pids=
trap 'kill -9 $pids 2>/dev/null || true' EXIT
setpriv --pdeathsig KILL ceph-mon -i a -f >mon.out 2>&1 </dev/null & pids="$pids $!"
ceph-osd -i 0 --mkfs --osd-uuid "$(cat /proc/sys/kernel/random/uuid)" >osd.out 2>&1 </dev/null
# Both join only a monitor that knows them: an OSD that asks too early ends, a gateway waits for ever.
until ceph --connect-timeout 5 mon stat >/dev/null 2>&1; do sleep 0.1; done
osd=0
until ceph --connect-timeout 5 osd stat 2>/dev/null | grep -q '1 up'; do
  if ! kill -0 "$osd" 2>/dev/null || [ "$osd" = 0 ]; then
    setpriv --pdeathsig KILL ceph-osd -i 0 -f >>osd.out 2>&1 </dev/null & osd=$!
    pids="$pids $osd"
  fi
  sleep 0.2
done
setpriv --pdeathsig KILL radosgw -n client.gateway -f >gateway.out 2>&1 </dev/null & pids="$pids $!"
cat >/dev/null
