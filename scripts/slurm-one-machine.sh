#!/usr/bin/env bash
# A real Slurm on one machine, for tests and for trying `--profile slurm` without a cluster.
#
#   scripts/slurm-one-machine.sh up      install (Debian, as root) and start; does nothing if it is up
#   scripts/slurm-one-machine.sh down    cancel its jobs and stop exactly the daemons that `up` started
#   scripts/slurm-one-machine.sh status  what answers; exit status 0 only if jobs can run
#
# It pretends two GPUs (two character devices): CUDA_VISIBLE_DEVICES is set, no GPU computes.
# Partitions: `gpu` (default) preempts `preempt`, whose jobs get SIGTERM, then the grace time,
# then go back into the queue. There is no accounting database: `squeue` answers, `sacct` does not.
#
#   PATCHVAE_SLURM_DIR     state, logs and sockets             (default /tmp/patchvae-slurm)
#   PATCHVAE_SLURM_CPUS    CPUs that the node claims to have   (default: the machine's)
#   PATCHVAE_SLURM_MEM_MB  memory that the node claims to have (default: the machine's)
#   PATCHVAE_SLURM_GRACE   seconds between SIGTERM and requeue (default 10)
set -euo pipefail

DIR=${PATCHVAE_SLURM_DIR:-/tmp/patchvae-slurm}
CPUS=${PATCHVAE_SLURM_CPUS:-$(nproc)}
MEM_MB=${PATCHVAE_SLURM_MEM_MB:-$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)}
GRACE=${PATCHVAE_SLURM_GRACE:-10}
HOST=$(hostname -s)
# Job steps drop SLURM_CONF from their environment, so the configuration must be at the default place.
LINK=/etc/slurm/slurm.conf

die() { echo "slurm-one-machine: $*" >&2; exit 1; }

alive() { # alive NAME: does the process of our pid file still run, and under that name?
    local pid
    pid=$(cat "$DIR/run/$1.pid" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ]
}

ready() { timeout 10 sinfo --noheader --format=%T 2>/dev/null | grep -qE '^(idle|mixed|allocated)$'; }

wait_for() { # wait_for SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

install_packages() {
    if ! command -v slurmctld slurmd sbatch munged >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq && apt-get install -qq -y --no-install-recommends slurm-wlm munge >/dev/null ||
            die "slurm-wlm and munge could not be installed with apt-get: install them, then run this again"
    fi
}

write_config() {
    cat >"$DIR/etc/slurm.conf" <<CONF
ClusterName=onemachine
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits until its old credential has expired (two minutes by default, five seconds at least).
AuthInfo=socket=$DIR/run/munge.socket,cred_expire=5
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool
SlurmctldPidFile=$DIR/run/slurmctld.pid
SlurmdPidFile=$DIR/run/slurmd.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd.log
ProctrackType=proctrack/linuxproc
# A step that uses more memory than its job asked for is killed, as cgroups do elsewhere; looked at each second.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=512
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=5
# The status of a finished job must stay visible to squeue for some polls of Snakemake.
MinJobAge=300
ReturnToService=2
SchedulerParameters=bf_interval=2,sched_interval=5,sched_min_interval=100000
SlurmdParameters=config_overrides
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=$CPUS RealMemory=$MEM_MB Gres=gpu:2 State=UNKNOWN
PartitionName=gpu Nodes=$HOST Default=YES MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
PartitionName=preempt Nodes=$HOST MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=$GRACE
CONF
    echo "Name=gpu File=$DIR/dev/gpu[0-1]" >"$DIR/etc/gres.conf"
}

prepare() {
    mkdir -p "$DIR"/{dev,etc,log,run,spool,state} /etc/slurm
    # munged and slurmctld refuse folders that others may write to, and sockets that others cannot reach.
    chmod 755 "$DIR" "$DIR"/*/
    local i
    for i in 0 1; do
        [ -c "$DIR/dev/gpu$i" ] || mknod "$DIR/dev/gpu$i" c 1 3 ||
            die "mknod $DIR/dev/gpu$i failed: the container needs the MKNOD capability"
    done
    [ -s "$DIR/etc/munge.key" ] || (umask 077 && head -c 128 /dev/urandom >"$DIR/etc/munge.key")
    write_config
    ln -sfn "$DIR/etc/slurm.conf" "$LINK"
    ln -sfn "$DIR/etc/gres.conf" /etc/slurm/gres.conf
}

up() {
    [ "$(id -u)" = 0 ] || die "run it as root (mknod, and jobs start as their user)"
    if [ -e "$LINK" ] && [ "$(readlink "$LINK")" != "$DIR/etc/slurm.conf" ]; then
        die "$LINK belongs to another Slurm: this machine is left as it is"
    fi
    install_packages
    if alive slurmctld && alive slurmd && alive munged && ready; then
        status
        return
    fi
    prepare
    alive munged || munged --key-file="$DIR/etc/munge.key" --socket="$DIR/run/munge.socket" \
        --pid-file="$DIR/run/munged.pid" --log-file="$DIR/log/munged.log" --seed-file="$DIR/state/munge.seed"
    alive slurmctld || slurmctld -c
    alive slurmd || slurmd
    wait_for 60 ready || die "the node did not become idle within 60 s: see $DIR/log"
    status
}

no_jobs() { [ -z "$(timeout 10 squeue --noheader --format=%A 2>/dev/null)" ]; }

down() {
    if alive slurmctld; then
        # slurmstepd outlives slurmd, so jobs end first.
        squeue --noheader --format=%A | sort -u | xargs -r scancel || true
        wait_for 30 no_jobs || echo "slurm-one-machine: some jobs did not end within 30 s" >&2
    fi
    local name
    for name in slurmd slurmctld munged; do
        alive "$name" || continue
        kill "$(cat "$DIR/run/$name.pid")"
        wait_for 20 eval "! alive $name" || die "$name (pid $(cat "$DIR/run/$name.pid")) did not stop within 20 s"
    done
    if [ "$(readlink "$LINK" 2>/dev/null)" = "$DIR/etc/slurm.conf" ]; then
        rm -f "$LINK" /etc/slurm/gres.conf
    fi
    echo "slurm: down"
}

status() {
    local name
    for name in munged slurmctld slurmd; do
        if alive "$name"; then echo "$name: up"; else echo "$name: down"; fi
    done
    ready || die "no node can run jobs: start it with $0 up"
    sinfo --format="%.10P %.6t %.4c %.8m %G"
}

case ${1:-} in
up) up ;;
down) down ;;
status) status ;;
*) die "usage: $0 up|down|status" ;;
esac
