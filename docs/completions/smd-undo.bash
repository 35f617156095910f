_smd__undo_words() {
    # A path of another host follows a colon.
    if [[ $1 == : || ${COMP_WORDS[COMP_CWORD - 1]} == : ]] ; then
        return 0
    fi
    COMPREPLY=( $(compgen -W "$(sh -c 'for file in "${SMD_HOME:-$HOME/.smd}"/config.*; do name=${file##*/config.}; case $name in *[!A-Za-z0-9._-]* | -* | .*) ;; *) test -f "$file" && echo "$name" ;; esac; done; smd-undo 2> /dev/null | sed -n "s/^\([0-9]\{3,\}\)  .*/\1/p"')" -- "$1") )
    if [[ ${COMPREPLY[0]} == *: ]] ; then
        compopt -o nospace 2> /dev/null
    fi
    return 0
}

_smd__undo() {
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
                cmd="smd__undo"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        smd__undo)
            opts="-l -f -m -s -r -e -v -q -V -h --list --folder --match --since --all --by --root --remote --rsh --remote-command --verbose --quiet --json --color --version --help"
            if [[ ${cur} == -* ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --folder)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --match)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -m)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --since)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --by)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --root)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --remote)
                    COMPREPLY=($(compgen -W "$(sh -c 'for file in "${SMD_HOME:-$HOME/.smd}"/config.*; do name=${file##*/config.}; case $name in *[!A-Za-z0-9._-]* | -* | .*) ;; *) test -f "$file" && echo "$name" ;; esac; done')" -- "${cur}"))
                    return 0
                    ;;
                -r)
                    COMPREPLY=($(compgen -W "$(sh -c 'for file in "${SMD_HOME:-$HOME/.smd}"/config.*; do name=${file##*/config.}; case $name in *[!A-Za-z0-9._-]* | -* | .*) ;; *) test -f "$file" && echo "$name" ;; esac; done')" -- "${cur}"))
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
            _smd__undo_words "${cur}"
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _smd__undo -o nosort -o bashdefault -o default smd-undo
else
    complete -F _smd__undo -o bashdefault -o default smd-undo
fi
