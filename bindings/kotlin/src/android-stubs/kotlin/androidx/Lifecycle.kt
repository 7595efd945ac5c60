@file:Suppress("unused")

package androidx.lifecycle

import android.app.Application
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job

open class ViewModel {
    internal val scope = CoroutineScope(Dispatchers.Default + Job())
}

open class AndroidViewModel(val application: Application) : ViewModel()

val ViewModel.viewModelScope: CoroutineScope
    get() = scope
