complete -c smd-translate -s m -l mode -d 'How folders are called at either host' -r
complete -c smd-translate -s d -l direction -d 'LR (from names here to the server\'s) or RL' -r
complete -c smd-translate -s V -l version -d 'Print the version'
complete -c smd-translate -s h -l help -d 'Print help'
function __smd_translate_words
    sh -c 'for file in "${SMD_HOME:-$HOME/.smd}"/config.*; do name=${file##*/config.}; case $name in *[!A-Za-z0-9._-]* | -* | .*) ;; *) test -f "$file" && echo "$name" ;; esac; done'
end
complete -c smd-translate -f -a '(__smd_translate_words)'
