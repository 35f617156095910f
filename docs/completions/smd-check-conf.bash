_smd__check__conf_words() {
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

_smd__check__conf() {
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
                cmd="smd__check__conf"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        smd__check__conf)
            opts="-v -q -e -V -h --import --verbose --quiet --json --rsh --remote-command --color --version --help"
            if [[ ${cur} == -* ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --import)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
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
            _smd__check__conf_words "${cur}"
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _smd__check__conf -o nosort -o bashdefault -o default smd-check-conf
else
    complete -F _smd__check__conf -o bashdefault -o default smd-check-conf
fi
