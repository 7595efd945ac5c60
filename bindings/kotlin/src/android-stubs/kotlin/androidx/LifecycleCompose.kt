@file:Suppress("unused")

package androidx.lifecycle.compose

import androidx.compose.runtime.State
import kotlinx.coroutines.flow.StateFlow

fun <T> StateFlow<T>.collectAsStateWithLifecycle(): State<T> = State(value)
