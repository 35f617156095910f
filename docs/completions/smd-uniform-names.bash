_smd__uniform__names_words() {
    # A path of another host follows a colon.
    if [[ $1 == : || ${COMP_WORDS[COMP_CWORD - 1]} == : ]] ; then
        return 0
    fi
    COMPREPLY=( $(compgen -W "$(sh -c 'for file in "${SMD_HOME:-$HOME/.smd}"/config.*; do name=${file##*/config.}; case $name in *[!A-Za-z0-9._-]* | -* | .*) ;; *) test -f "$file" && echo "$name" ;; esac; done; { sed -n "s/^ *[Hh]ost[ =]\{1,\}//p" ~/.ssh/config | tr " " "\n"; cut -d " " -f 1 ~/.ssh/known_hosts | tr "," "\n"; } 2> /dev/null | grep -x "[A-Za-z0-9][A-Za-z0-9._-]*" | sort -u | sed "s/$/:/"')" -- "$1") )
    if [[ ${COMPREPLY[0]} == *: ]] ; then
        compopt -o nospace 2> /dev/null
    fi
    return 0
}

_smd__uniform__names() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="smd__uniform__names"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        smd__uniform__names)
            opts="-v -q -e -V -h --apply --script --verbose --quiet --json --rsh --remote-command --color --version --help"
            if [[ ${cur} == -* ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --rsh)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -e)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --remote-command)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --color)
                    COMPREPLY=($(compgen -W "auto always never" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            _smd__uniform__names_words "${cur}"
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _smd__uniform__names -o nosort -o bashdefault -o default smd-uniform-names
else
    complete -F _smd__uniform__names -o bashdefault -o default smd-uniform-names
fi
