#!/bin/sh
# Manages MPC nodes on this machine, with the commands of the node guide, with Docker or without. `node.sh help` lists them.
#
# Passwords are read by mpc-node itself, without echo from the terminal or from standard input, and are JSON-escaped there:
# this script never has one in a variable, an argument or the environment.
set -eu

# On the instance's folder, for everything that is made here: nobody but its owner may look into it.
umask 077

HERE=$(cd "$(dirname "$0")" && pwd -P)
IMAGE=${MPC_NODE_IMAGE:-countersign-node}
INSIDE=/tmp/mpc-node # the instance's folder in a container, as in the guide
PATIENCE=${MPC_NODE_PATIENCE:-60}

usage() {
	cat <<END
usage: node.sh [--docker] COMMAND [INSTANCE] [-- ARGUMENT...]

Without INSTANCE the node's folder is that of this script: config.toml, asset.db and logs are there. With INSTANCE it is the
folder of that name beside this script. create and start make it, with a copy of config.toml that has a name and ports of its own.

  create    make the folder of INSTANCE and start nothing
  start     start the node in the background; it is sealed after every start
  init      set the password of a new node: once, or once for each of t segments
  unseal    open the sealed node: once, or once for each of t segments
  info      node id, public key and seal state
  status    everything an operator wants to know: link, keys, requests, warnings
  seal      forget the keys in memory; unseal opens the node again
  reset     begin to change the password: give the present one, and the new one
  cmreset   end the change of the password: give the new one again
  stop      end the node gracefully
  check     examine the machine, the configuration and the files, and say what to fix
  list      list the instances and what state they are in
  help      print this
  auto-unseal backup config keys password rekey restore sessions version
            as mpc-node COMMAND -- ARGUMENT... does it, in the node's folder

--docker runs the node in a container of the image $IMAGE (MPC_NODE_IMAGE gives another) on the host's network.
A configuration with unseal-server-address = "0.0.0.0:PORT", as in the guide, gets a network of its own, and its port is published at
127.0.0.1:10080 (MPC_NODE_PORT gives another).
Without --docker the program mpc-node is run: the one that MPC_NODE names, else that beside this script, else that of the PATH.

Examples:
  ./node.sh start && ./node.sh init && ./node.sh unseal
  ./node.sh --docker start mpc-node-a
  ./node.sh backup mpc-node-a
  ./node.sh backup mpc-node-a -- verify backups/asset-20261121T041500.000Z.db
END
}

die() {
	echo "node.sh: $*" >&2
	exit 1
}

# setting KEY [TABLE] prints a string of config.toml, of a table or of any.
setting() {
	awk -v key="$1" -v table="${2:-}" '
		/^[ \t]*\[/ { here = $0; gsub(/[][ \t]/, "", here) }
		(table == "" || here == table) && $0 ~ "^[ \t]*" key "[ \t]*=" {
			sub(/^[^=]*=[ \t]*/, ""); quote = substr($0, 1, 1)
			if (quote == "\"" || quote == "\047") { $0 = substr($0, 2); sub(quote ".*", "") } else sub(/[ \t]*(#.*)?$/, "")
			print; exit
		}' "$DIR/config.toml"
}

# program prints the path of mpc-node.
program() {
	if [ -n "${MPC_NODE:-}" ]; then
		echo "$MPC_NODE"
	elif [ -x "$HERE/mpc-node" ]; then
		echo "$HERE/mpc-node"
	else
		command -v mpc-node || die "there is no program mpc-node: put it beside this script or on the PATH, or use --docker"
	fi
}

need_docker() {
	command -v docker >/dev/null 2>&1 || die "Docker is not installed (https://docs.docker.com/engine/install/); without --docker none is needed"
	docker info >/dev/null 2>&1 || die "the Docker daemon does not answer this user: start it (systemctl start docker), or use sudo"
}

# container ARGUMENT... runs a container of the node's folder: as the folder's owner, with no rights but to lock its memory, and
# nothing to write but the folder. The host's network keeps the admin interface on loopback; one that is configured for all addresses,
# as the guide has it, is published on the host's loopback instead.
container() {
	if [ -n "$OPEN" ]; then set -- --publish "$ADDRESS:$OPEN" "$@"; else set -- --network host "$@"; fi
	docker run --read-only --tmpfs /run --cap-drop ALL --security-opt no-new-privileges --ulimit core=0 --ulimit memlock=-1 \
		--user "$(stat -c %u:%g "$DIR")" --mount "type=bind,src=$DIR,dst=$INSIDE" --env "TMPDIR=$INSIDE" --workdir "$INSIDE" "$@"
}

# node ARGUMENT... is mpc-node for a running node.
node() {
	if [ -n "$DOCKER" ]; then
		set -- mpc-node "$@" ${OPEN:+--behind-docker}
		if [ -t 0 ]; then docker exec -it "$NAME" "$@"; else docker exec -i "$NAME" "$@"; fi
	else
		(cd "$DIR" && "$PROGRAM" "$@")
	fi
}

# offline ARGUMENT... is mpc-node where no node needs to run.
offline() {
	if [ -n "$DOCKER" ]; then
		OPEN_WAS=$OPEN OPEN='' # nothing is served
		set -- "$IMAGE" "$@" ${OPEN_WAS:+--behind-docker}
		if [ -t 0 ]; then container --rm -it "$@"; else container --rm -i "$@"; fi
	else
		(cd "$DIR" && "$PROGRAM" "$@")
	fi
}

# make_instance makes the folder of a new instance: ports that no instance here has.
make_instance() {
	[ -f "$HERE/config.toml" ] || die "there is no $HERE/config.toml to copy for the new instance $INSTANCE"
	admin=10080 monitoring=9102
	while grep -qsE "^[^#]*(address)[ ]*=[ ]*\"[^\"]*:($admin|$monitoring)\"" "$HERE"/*/config.toml "$HERE/config.toml"; do
		admin=$((admin + 1)) monitoring=$((monitoring + 1))
	done
	mkdir "$DIR"
	awk -v name="$INSTANCE" -v admin="127.0.0.1:$admin" -v monitoring="127.0.0.1:$monitoring" '
		/^[ \t]*\[/ { here = $0; gsub(/[][ \t]/, "", here) }
		here == "app" && /^name[ \t]*=/ { $0 = "name = \"" name "\"" }
		here == "storage" && /^unseal-server-address[ \t]*=/ { $0 = "unseal-server-address = \"" admin "\"" }
		here == "monitoring" && /^address[ \t]*=/ { $0 = "address = \"" monitoring "\"" }
		{ print }' "$HERE/config.toml" >"$DIR/config.toml"
	echo "new instance $INSTANCE in $DIR: look at its config.toml; what it names (keys, parties) belongs into that folder"
}

# answers tells whether the node answers.
answers() { node info >/dev/null 2>&1 </dev/null; }

wait_for() { # wait_for MESSAGE COMMAND...
	message=$1 tries=$((PATIENCE * 5))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || die "$message"
		sleep 0.2
	done
}

up_or_ended() { answers || ! kill -0 "$pid" 2>/dev/null; }
in_container_up_or_ended() { answers || [ "$(docker inspect -f '{{.State.Running}}' "$NAME" 2>/dev/null)" != true ]; }
ended() { ! kill -0 "$pid" 2>/dev/null; }

start() {
	answers && die "instance $NAME runs already in $DIR"
	echo "mpc-node instance name: $NAME, unseal server address: $ADDRESS"
	if [ -n "$DOCKER" ]; then
		docker rm "$NAME" >/dev/null 2>&1 || true # one that has ended; a running one stays
		container -d --name "$NAME" --stop-timeout 60 --restart unless-stopped --log-opt max-size=50m --log-opt max-file=5 "$IMAGE" start ${OPEN:+--behind-docker}
		wait_for "the node does not answer at $ADDRESS: docker logs $NAME" in_container_up_or_ended
		answers || { docker logs --tail 20 "$NAME" >&2; die "the node ended: see above"; }
	else
		mkdir -p "$DIR/logs"
		cd "$DIR"
		nohup "$PROGRAM" start >>logs/node.out 2>&1 </dev/null &
		pid=$!
		echo "$pid" >node.pid
		wait_for "the node does not answer at $ADDRESS: see $DIR/logs/node.out" up_or_ended
		answers || { tail -n 20 logs/node.out >&2; rm -f node.pid; die "the node ended: see above, and $DIR/logs/node.out"; }
		echo "$pid"
	fi
	echo "mpc-node server address: $ADDRESS"
}

stop() {
	if [ -n "$DOCKER" ]; then
		docker stop --time 60 "$NAME" >/dev/null
		docker rm "$NAME" >/dev/null
	else
		# One that has crashed left its number behind. It may be another process's by now: whether the node answers counts.
		if [ -f "$DIR/node.pid" ] && pid=$(cat "$DIR/node.pid") && ended; then
			rm -f "$DIR/node.pid"
			answers || { echo "node.sh: the node is not running: process $pid had ended already" >&2; return 0; }
		fi
		node stop
		if [ -f "$DIR/node.pid" ]; then
			pid=$(cat "$DIR/node.pid")
			wait_for "process $pid has not ended yet: see $DIR/logs/node.out" ended
			rm -f "$DIR/node.pid"
		fi
	fi
}

list() {
	for file in "$HERE/config.toml" "$HERE"/*/config.toml; do
		[ -f "$file" ] || continue
		DIR=$(dirname "$file")
		NAME=$(setting name app)
		state=$(node info 2>/dev/null </dev/null | sed -n 's/.*"state": "\([a-z]*\)".*/\1/p')
		printf '%-20s %-14s %-22s %s\n' "$NAME" "${state:-not running}" "$(setting unseal-server-address storage)" "$DIR"
	done
}

DOCKER='' INSTANCE='' OPEN=''
if [ "${1:-}" = --docker ]; then
	DOCKER=1
	shift
fi
COMMAND=${1:-help}
[ $# -eq 0 ] || shift
case $COMMAND in
help | -h | --help)
	usage
	exit 0
	;;
create | start | init | unseal | info | status | seal | reset | cmreset | stop | check | list | auto-unseal | backup | config | keys | password | rekey | restore | sessions | version) ;;
*) die "there is no command $COMMAND: node.sh help lists them" ;;
esac
if [ $# -gt 0 ] && [ "$1" != -- ]; then
	INSTANCE=$1
	shift
fi
if [ $# -gt 0 ]; then
	[ "$1" = -- ] || die "$1 is one argument too many: arguments of mpc-node come after --"
	shift
fi
case $INSTANCE in
*[!a-zA-Z0-9_.-]* | .* | -*) die "the instance name $INSTANCE has other characters than letters, digits, - _ and ., or begins with . or -" ;;
esac

DIR=$HERE${INSTANCE:+/$INSTANCE}
case $DOCKER$DIR in
1*[,\"]*) die "the folder $DIR has a comma or a quotation mark in its path, which Docker's --mount does not take: move it" ;;
esac
if [ -n "$DOCKER" ]; then need_docker; else PROGRAM=$(program); fi
if [ "$COMMAND" = list ]; then
	list
	exit 0
fi
if [ "$COMMAND" = create ]; then
	[ -n "$INSTANCE" ] || die "create needs the name of an instance"
	[ ! -e "$DIR" ] || die "there is $DIR already"
	make_instance
	exit 0
fi
[ "$COMMAND" != start ] || [ -z "$INSTANCE" ] || [ -e "$DIR" ] || make_instance
[ -f "$DIR/config.toml" ] || die "there is no $DIR/config.toml: is the instance name right? start makes a new instance"
NAME=${INSTANCE:-$(setting name app)}
NAME=${NAME:-mpc-node}
ADDRESS=$(setting unseal-server-address storage)
ADDRESS=${ADDRESS:-127.0.0.1:10080}
OPEN='' # the port inside of a container, where the address is all of it
case ${DOCKER:+docker}$ADDRESS in
docker0.0.0.0:*) OPEN=${ADDRESS##*:} ADDRESS=127.0.0.1:${MPC_NODE_PORT:-10080} ;;
esac

case $COMMAND in
start) start ;;
stop) stop ;;
check | config | password | rekey | restore | version) offline "$COMMAND" "$@" ;;
backup) # verify needs no running node
	if [ $# -gt 0 ]; then offline backup "$@"; else node backup; fi
	;;
*) node "$COMMAND" "$@" ;;
esac
