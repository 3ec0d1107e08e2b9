# Manuals and completions: made of the tables of commands, options and keys, they hold every one of them, and are what man, bash
# and zsh read. Sourced by tests/cases.sh. Readers that are not installed are passed over.
# shellcheck shell=sh
manuals_failed=0

# holds NAME FILE WORD...: the file has every word.
holds() {
    holds_name=$1 holds_file=$2 holds_missing=
    shift 2
    for word; do grep -qF -e "$word" "$holds_file" || holds_missing="$holds_missing $word"; done
    if [ -z "$holds_missing" ] && [ $# -gt 0 ]; then
        echo "ok $holds_name"
    else
        echo "FAILED $holds_name: of $# words, missing:$holds_missing"
        manuals_failed=1
    fi
}

# prints NAME EXPECTED COMMAND...: the command's output, and it ends well.
prints() {
    prints_name=$1 prints_expected=$2
    shift 2
    if prints_found=$("$@" 2>&1) && [ "$prints_found" = "$prints_expected" ]; then
        echo "ok $prints_name"
    else
        echo "FAILED $prints_name: $prints_found"
        manuals_failed=1
    fi
}

has() { command -v "$1" > /dev/null; }

for form in man man-config bash zsh; do "$BNN" help --as $form > $form; done
commands=$("$BNN" --help | sed -n 's/^  \([a-z]*\)  *.*/\1/p')
options=$(for command in $commands; do "$BNN" help "$command" | sed -n 's/^  --\([a-z-]*\).*/\1/p'; done | sort -u)
keys=$("$BNN" train --keys | sed 1d | awk '{ print $1 }')

# As a person sees them: without the backslashes of dashes.
sed 's/\\-/-/g; /^.SS bnn/ s/ /./g' man > man.txt
sed 's/\\-/-/g' man-config > man-config.txt
# shellcheck disable=SC2046,SC2086 # the words
{
    holds manual_commands man.txt $(printf 'SS.bnn.%s\n' $commands)
    holds manual_options man.txt $(printf -- '--%s\n' $options)
    holds manual_keys man-config.txt $keys
    holds bash_words bash $commands $(printf -- '--%s\n' $options) $keys
    holds zsh_words zsh $commands $(printf -- '--%s\n' $options) $keys
}
for page in man man-config; do
    if has man; then prints "$page-without-warnings" '' sh -c "man --warnings -l $page 2>&1 > /dev/null"; fi
    if has mandoc; then prints "$page-mandoc" '' mandoc -T lint -W error $page; fi
done

# complete WORD...: what bash offers for the last word.
cat > complete.bash <<'EOF'
. ./bash
COMP_WORDS=(bnn "$@") COMP_CWORD=$#
_bnn
echo "${COMPREPLY[*]}"
EOF
if has bash; then
    prints bash_syntax '' bash -n bash
    prints bash_command 'symmetrize' bash complete.bash sy
    prints bash_option '--equivariance' bash complete.bash eval runs/a --eq
    prints bash_names 'shared independent' bash complete.bash eval --draws ''
    prints bash_names_after_equals 'independent' bash complete.bash eval --draws = i
    prints bash_key 'symmetrization.mode=' bash complete.bash train --set symmetrization.m
    prints bash_value 'tie' bash complete.bash train --set symmetrization.mode = t
    prints bash_help 'train' bash complete.bash help tr
    prints bash_file '' bash complete.bash eval ru # left to bash
fi

# In a zsh of its own, whose completion is asked as by a key and writes what it would offer.
cat > complete.zsh <<'EOF'
zmodload zsh/zpty
zpty -b shell zsh -f -i
zpty -w shell 'PS1=; fpath=($PWD/zfunctions $fpath); autoload -Uz compinit && compinit -u -D; LISTMAX=1000; zstyle ":completion:*" menu no'
zpty -w shell 'offer() { compadd() { builtin compadd -A found "$@"; print -rl -- $found >> offered; builtin compadd "$@" }; _main_complete }'
zpty -w shell 'zle -C offer complete-word offer; bindkey "^X" offer; touch ready'
for try in {1..200}; do [[ -e ready ]] && break; sleep 0.1; done
zpty -w -n shell $'bnn '$1$'\x18'
for try in {1..200}; do [[ -s offered ]] && break; sleep 0.1; done
sleep 0.2
zpty -d shell
sort -u offered
EOF
if has zsh; then
    mkdir zfunctions
    cp zsh zfunctions/_bnn
    prints zsh_syntax '' zsh -n zsh
    zsh complete.zsh sy > offers 2>&1
    holds zsh_command offers symmetrize
    rm -f ready offered
    zsh complete.zsh 'eval --eq' > offers 2>&1
    holds zsh_option offers --equivariance
fi
[ $manuals_failed -eq 0 ]
